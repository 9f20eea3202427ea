// Where the efficiency of the rows went, as tables and sentences of scaling_model.h.
#pragma once

#include <string>
#include <vector>

#include "bench/sweep/scaling_model.h"

namespace xbench {

// Two tables of factors and one in POP's names, readable at 80 columns; none where no probes ran.
std::vector<ModelTable> factor_tables(const ScalingTable& table);
// The milliseconds of each row, from the largest loss on, and why a row has no factors.
std::vector<std::string> factor_items(const ScalingTable& table);
// A line a factor of each row, with its interval.
ModelTable factor_intervals(const ScalingTable& table);

}  // namespace xbench
