// Memory that the processes of one node share: a POSIX shared memory object, mapped whole.
#pragma once

#include <cstddef>
#include <string>

namespace xbench {

class SharedMemory {
public:
    SharedMemory() = default;
    // A new object of this size, all zero; its pages are reserved at once, so that a full /dev/shm is an Error here and no
    // SIGBUS later. `name` as "/xbench-1234". Throws Error when it exists already.
    static SharedMemory create(const std::string& name, size_t bytes);
    // One that another process has made. Throws Error when it is not there or smaller than `bytes`.
    static SharedMemory open(const std::string& name, size_t bytes);
    // Takes the name away (nobody can open it any more; mappings stay). No error when it is gone already.
    static void remove(const std::string& name) noexcept;

    ~SharedMemory();
    SharedMemory(SharedMemory&& other) noexcept { swap(other); }
    SharedMemory& operator=(SharedMemory&& other) noexcept {
        swap(other);
        return *this;
    }

    void* data() const { return data_; }
    template <class T>
    T* as() const {
        return static_cast<T*>(data_);
    }
    size_t bytes() const { return bytes_; }

private:
    SharedMemory(void* data, size_t bytes) : data_(data), bytes_(bytes) {}
    void swap(SharedMemory& other) noexcept;
    void* data_ = nullptr;
    size_t bytes_ = 0;
};

}  // namespace xbench
