// A seeded split into train, val and test. It never cuts through a group (a patient), and is stratified by class as far as
// the groups allow.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/set/dataset.h"

namespace xbench {

struct SplitShares {
    double train = 0.70, val = 0.15, test = 0.15;
};

// "70,15,15": percentages or any other positive weights; 0 leaves a split empty. Throws UsageError.
SplitShares parse_shares(const std::string& text);

// The split of each item. `strata` is a class an item (any non-negative number), `groups` a name an item, or empty:
// each item is a group of its own. A function of its arguments alone.
std::vector<uint8_t> assign_splits(std::span<const int32_t> strata, std::span<const std::string> groups,
                                   const SplitShares& shares, uint64_t seed);

}  // namespace xbench
