// Buffers enter a ledger with their category, and leave it.
#include <gtest/gtest.h>

#include <set>

#include "core/memory.h"

namespace xbench {
namespace {

TEST(MemoryLedger, CountsWhatLives) {
    MemoryLedger ledger;
    EXPECT_EQ(ledger.now().total(), 0u);
    {
        AlignedBuffer a(100, &ledger, MemoryCategory::gradients), b(20, &ledger, MemoryCategory::optimizer);
        AlignedBuffer uncounted(1000);
        EXPECT_EQ(ledger.now()[MemoryCategory::gradients], 100u);
        EXPECT_EQ(ledger.now()[MemoryCategory::optimizer], 20u);
        EXPECT_EQ(ledger.now().total(), 120u);
    }
    EXPECT_EQ(ledger.now().total(), 0u);
    EXPECT_EQ(ledger.highest()[MemoryCategory::gradients], 100u);
}

TEST(MemoryLedger, AnEntryMovesWithItsBuffer) {
    MemoryLedger ledger;
    AlignedBuffer a(64, &ledger, MemoryCategory::parameters);
    AlignedBuffer b(std::move(a));
    EXPECT_EQ(ledger.now().total(), 64u);
    b = AlignedBuffer(200, &ledger, MemoryCategory::workspace);
    EXPECT_EQ(ledger.now()[MemoryCategory::parameters], 0u);
    EXPECT_EQ(ledger.now()[MemoryCategory::workspace], 200u);
    b.count_in(&ledger, MemoryCategory::batches);  // of another category from now on
    EXPECT_EQ(ledger.now()[MemoryCategory::workspace], 0u);
    EXPECT_EQ(ledger.now()[MemoryCategory::batches], 200u);
}

TEST(MemoryLedger, EveryCategoryHasAName) {
    std::set<std::string> names;
    for (size_t i = 0; i < memory_categories; ++i) names.insert(name_of(static_cast<MemoryCategory>(i)));
    EXPECT_EQ(names.size(), memory_categories);
}

}  // namespace
}  // namespace xbench
