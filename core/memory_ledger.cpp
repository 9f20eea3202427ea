// Counting by category.
#include "core/memory_ledger.h"

#include <numeric>

namespace xbench {

const char* name_of(MemoryCategory category) {
    static constexpr std::array names{"parameters", "gradients", "optimizer", "activations",
                                      "buffers",    "batches",   "workspace"};
    static_assert(names.size() == memory_categories);
    return names[static_cast<size_t>(category)];
}

size_t MemoryUse::total() const { return std::accumulate(bytes.begin(), bytes.end(), size_t{0}); }

void MemoryLedger::take(MemoryCategory category, size_t bytes) {
    Account& account = accounts_[static_cast<size_t>(category)];
    const size_t now = account.bytes += bytes;
    for (size_t seen = account.highest; now > seen && !account.highest.compare_exchange_weak(seen, now);) {
    }
}

void MemoryLedger::give_back(MemoryCategory category, size_t bytes) {
    accounts_[static_cast<size_t>(category)].bytes -= bytes;
}

MemoryUse MemoryLedger::now() const {
    MemoryUse use;
    for (size_t i = 0; i < memory_categories; ++i) use.bytes[i] = accounts_[i].bytes;
    return use;
}

MemoryUse MemoryLedger::highest() const {
    MemoryUse use;
    for (size_t i = 0; i < memory_categories; ++i) use.bytes[i] = accounts_[i].highest;
    return use;
}

MemoryEntry::MemoryEntry(MemoryLedger* ledger, MemoryCategory category, size_t bytes)
    : ledger_(ledger), category_(category), bytes_(bytes) {
    if (ledger_) ledger_->take(category_, bytes_);
}

MemoryEntry::~MemoryEntry() {
    if (ledger_) ledger_->give_back(category_, bytes_);
}

void MemoryEntry::swap(MemoryEntry& other) noexcept {
    std::swap(ledger_, other.ledger_);
    std::swap(category_, other.category_);
    std::swap(bytes_, other.bytes_);
}

}  // namespace xbench
