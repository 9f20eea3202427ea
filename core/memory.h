// Aligned memory with one owner.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace xbench {

// 64-byte aligned, zeroed. Freed with its owner.
class AlignedBuffer {
public:
    AlignedBuffer() = default;
    explicit AlignedBuffer(size_t bytes);
    // Memory that came from elsewhere (shared with other processes), released by its deleter.
    AlignedBuffer(std::shared_ptr<void> memory, size_t bytes) : data_(std::move(memory)), bytes_(bytes) {}
    AlignedBuffer(AlignedBuffer&&) = default;
    AlignedBuffer& operator=(AlignedBuffer&&) = default;
    void* data() const { return data_.get(); }
    template <class T>
    T* as() const {
        return static_cast<T*>(data_.get());
    }
    size_t bytes() const { return bytes_; }

private:
    std::shared_ptr<void> data_;  // never shared: the deleter's type is erased
    size_t bytes_ = 0;
};

}  // namespace xbench
