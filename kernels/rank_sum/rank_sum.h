// The sum over ranks, for buffers that lie in memory which one process can see all of (parallel/comm_shm.h).
// Not an operator of a graph and no row of the registry: a communicator calls it. Chosen by instruction set like the peaks.
#pragma once

#include <cstddef>

#include "core/isa.h"

namespace xbench {

// to[t][i] = the sum of from[0][i] ... from[ranks-1][i] in the fixed tree of kernels/leaf_tree.h, for begin <= i < end and
// every t < targets. Targets may be sources. At most 2048 ranks. One thread; the bits do not depend on `isa`.
void sum_over_ranks(Isa isa, const float* const* from, int ranks, float* const* to, int targets, size_t begin, size_t end);
void sum_over_ranks(Isa isa, const double* const* from, int ranks, double* const* to, int targets, size_t begin, size_t end);

}  // namespace xbench
