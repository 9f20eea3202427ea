// The fixed tree over leaves of kernels/leaf_tree.h on a GPU, by one thread that meets the leaves in ascending order: the
// same pairs in the same order as the CPU's stack adds.
#pragma once

#include "kernels/leaf_tree.h"

namespace xbench {

// The stack of one thread. All indices are known after unrolling, so that it lives in registers.
// Of fewer than 2^depth leaves.
template <class T, int depth = leaf_tree_depth>
class LeafTree {
public:
    // The sum of leaf `v`; leaves come in ascending order from 0. No way out of the loop: it would make the compiler index
    // the stack, which then lies in memory.
    __device__ __forceinline__ void add(int v, T sum) {
        bool carries = true;
#pragma unroll
        for (int level = 0; level < depth; ++level) {
            const bool merges = carries && (v >> level & 1);
            const T merged = stack_[level] + sum;
            stack_[level] = carries && !merges ? sum : stack_[level];
            sum = merges ? merged : sum;
            carries = merges;
        }
    }
    // Of `leaves` leaves: what is left is added from the newest to the oldest.
    __device__ __forceinline__ T total(int leaves) const {
        T sum = 0;
        bool first = true;
#pragma unroll
        for (int level = 0; level < depth; ++level) {
            const bool full = leaves >> level & 1;
            const T merged = first ? stack_[level] : stack_[level] + sum;
            sum = full ? merged : sum;
            first = first && !full;
        }
        return sum;
    }

private:
    T stack_[depth] = {};
};

}  // namespace xbench
