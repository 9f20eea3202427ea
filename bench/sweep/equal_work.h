// The gate in front of every speed-up: a time may be compared only with the time of the same work.
#pragma once

#include <string>

#include "bench/sweep/scaling_table.h"

namespace xbench {

// Why `row` may not stand beside `base`: samples, steps, global batch, evaluation split and, under the invariant reduction,
// the bits of the weights, in every repeat. "" where it may. Under weak scaling batch, steps and weights differ by its
// nature.
std::string other_work(const ScalingRow& row, const ScalingRow& base, const std::string& mode, const std::string& reduction);

}  // namespace xbench
