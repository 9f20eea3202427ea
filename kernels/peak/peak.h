// What one core can do at most, measured: the yardstick of `share_of_peak`.
#pragma once

#include <cstdint>

#include "core/isa.h"

namespace xbench {

// Runs `rounds` rounds of independent fused multiply-adds in registers and returns how many floating point operations that
// was. Each ISA's own vectors; `sink` keeps the compiler from dropping the work.
double run_fma_rounds(Isa isa, int64_t rounds, float* sink);

}  // namespace xbench
