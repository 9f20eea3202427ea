// Where the leaves of a call end. All warps of a block ask for them again and again: of few, the block keeps them in shared
// memory.
#pragma once

#include <cstdint>

#include "kernels/kernel.h"
#include "kernels/linear/linear_parts.h"

namespace xbench {

template <int depth>
class LeafEnds {
public:
    // All threads of the block call it, with their number; it meets a barrier.
    __device__ __forceinline__ LeafEnds(const StepContext* step, int leaves, int32_t* shared, int thread)
        : ends_(step->leaf_begin + 1) {
        if constexpr (depth <= few_leaves_depth) {
            if (thread < leaves) shared[thread] = ends_[thread];
            __syncthreads();
            ends_ = shared;
        }
    }
    __device__ __forceinline__ int operator[](int leaf) const { return ends_[leaf]; }

private:
    const int32_t* ends_;
};

}  // namespace xbench
