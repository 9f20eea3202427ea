// What one core can do at most, measured: the yardsticks of `share_of_peak` and of the roofline.
#pragma once

#include <cstdint>

#include "core/isa.h"

namespace xbench {

// Runs `rounds` rounds of independent fused multiply-adds in registers and returns how many floating point operations that
// was. Each ISA's own vectors; `sink` keeps the compiler from dropping the work.
double run_fma_rounds(Isa isa, int64_t rounds, float* sink);

// Copies `count` floats with the ISA's vectors, ordinary loads and stores.
void run_copy(Isa isa, const float* from, float* to, int64_t count);

}  // namespace xbench
