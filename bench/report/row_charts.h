// Charts of which each row is one part: where its step goes, its memory, its way to accuracy. Of many rows only the first
// are drawn; the tables have all.
#pragma once

#include <string>
#include <vector>

#include "bench/sweep/scaling_table.h"

namespace xbench {

inline constexpr size_t most_waterfalls = 12, most_bars = 24, most_curves = 8;

// One for each row that has factors, up to most_waterfalls.
std::vector<std::string> waterfall_svgs(const ScalingTable& table);
// "" where no record has what it takes.
std::string memory_svg(const ScalingTable& table);
std::string seconds_to_accuracy_svg(const ScalingTable& table);    // bars: until the target is reached
std::string accuracy_over_seconds_svg(const ScalingTable& table);  // curves

}  // namespace xbench
