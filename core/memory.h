// Aligned memory with one owner.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "core/memory_ledger.h"

namespace xbench {

// 64-byte aligned, zeroed. Freed with its owner.
class AlignedBuffer {
public:
    AlignedBuffer() = default;
    explicit AlignedBuffer(size_t bytes);
    // Counted in the ledger, where there is one, for as long as the buffer lives.
    AlignedBuffer(size_t bytes, MemoryLedger* ledger, MemoryCategory category) : AlignedBuffer(bytes) {
        count_in(ledger, category);
    }
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
    void count_in(MemoryLedger* ledger, MemoryCategory category) { entry_ = MemoryEntry(ledger, category, bytes_); }

private:
    std::shared_ptr<void> data_;  // never shared: the deleter's type is erased
    size_t bytes_ = 0;
    MemoryEntry entry_;
};

}  // namespace xbench
