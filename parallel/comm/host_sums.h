// Sums over ranks of numbers that lie in the host's memory, whatever device computes: losses. They travel as bytes of the
// control plane, and are added in the same tree as all others.
#pragma once

#include "parallel/comm/rank_sums.h"

namespace xbench {

// As RankSums::sum: this rank's block b lies at data + b * stride, the total lands in data. Collective.
void sum_on_host(const RankSums& sums, double* data, size_t count, size_t stride);

}  // namespace xbench
