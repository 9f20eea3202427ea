// The section of scaling.md that says where the efficiency of the rows went.
#pragma once

#include <string>

#include "bench/sweep/scaling_table.h"

namespace xbench {

// Two tables of factors and one in POP's names, readable at 80 columns, then the milliseconds of each row; "" where no
// probes ran. Lines are not wrapped.
std::string factor_tables(const ScalingTable& table);
std::string factor_lines(const ScalingTable& table);

}  // namespace xbench
