// Aligned memory with one owner.
#pragma once

#include <cstddef>
#include <memory>

namespace xbench {

// 64-byte aligned, zeroed. Freed with its owner.
class AlignedBuffer {
public:
    AlignedBuffer() = default;
    explicit AlignedBuffer(size_t bytes);
    void* data() const { return data_.get(); }
    template <class T>
    T* as() const {
        return static_cast<T*>(data_.get());
    }
    size_t bytes() const { return bytes_; }

private:
    struct Free {
        void operator()(void* data) const noexcept;
    };
    std::unique_ptr<void, Free> data_;
    size_t bytes_ = 0;
};

}  // namespace xbench
