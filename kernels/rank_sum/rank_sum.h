// The sum over ranks, for buffers that lie in memory which one process can see all of (parallel/comm/comm_shm.h).
// Not an operator of a graph and no row of the registry: a communicator calls it. Chosen by instruction set like the peaks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/isa.h"

namespace xbench {

// What is added: from[0][i], from[1][i] ... one after the other onto a stack of sums; after from[k] the two newest sums are
// added merges[k] times; in the end what is left, newest first (kernels/leaf_tree.h, whose leaf_tree_merges fills merges
// for addends of one leaf each). At most leaf_tree_depth sums at a time.
template <class T>
struct Addends {
    const T* const* from;
    int count;
    const uint8_t* merges;  // {count}
};

// to[t][i] = the sum, for begin <= i < end and every t < targets. Targets may be addends. One thread; the bits do not depend
// on `isa`.
void sum_over_ranks(Isa isa, const Addends<float>& addends, float* const* to, int targets, size_t begin, size_t end);
void sum_over_ranks(Isa isa, const Addends<double>& addends, double* const* to, int targets, size_t begin, size_t end);

}  // namespace xbench
