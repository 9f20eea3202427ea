// Counts a rank's memory by purpose, where it is allocated.
// A ledger belongs to one rank (ranks may be threads of one process) and counts the bytes that were asked for. Rounding to
// cache lines or huge pages is left out.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <utility>

namespace xbench {

enum class MemoryCategory : int {
    parameters,   // kept, and gathered for a while
    gradients,    // of the parameters
    optimizer,    // its moments
    activations,  // between layers, forward and backward, of training and of evaluation
    buffers,      // running statistics and constants
    batches,      // images read ahead
    workspace,    // scratch of kernels
    count_
};
constexpr size_t memory_categories = static_cast<size_t>(MemoryCategory::count_);
const char* name_of(MemoryCategory category);

// Bytes by category.
struct MemoryUse {
    std::array<size_t, memory_categories> bytes{};
    size_t& operator[](MemoryCategory category) { return bytes[static_cast<size_t>(category)]; }
    size_t operator[](MemoryCategory category) const { return bytes[static_cast<size_t>(category)]; }
    size_t total() const;
};

// Any thread may take and give back.
class MemoryLedger {
public:
    void take(MemoryCategory category, size_t bytes);
    void give_back(MemoryCategory category, size_t bytes);
    MemoryUse now() const;
    MemoryUse highest() const;  // of each category by itself

private:
    struct Account {
        std::atomic<size_t> bytes{0}, highest{0};
    };
    std::array<Account, memory_categories> accounts_;
};

// An entry of a ledger, for as long as it lives.
class MemoryEntry {
public:
    MemoryEntry() = default;
    MemoryEntry(MemoryLedger* ledger, MemoryCategory category, size_t bytes);  // no ledger: nothing is counted
    ~MemoryEntry();
    MemoryEntry(MemoryEntry&& other) noexcept { swap(other); }
    MemoryEntry& operator=(MemoryEntry&& other) noexcept {
        MemoryEntry moved(std::move(other));
        swap(moved);
        return *this;
    }

private:
    void swap(MemoryEntry& other) noexcept;
    MemoryLedger* ledger_ = nullptr;
    MemoryCategory category_{};
    size_t bytes_ = 0;
};

}  // namespace xbench
