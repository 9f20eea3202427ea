// The second half of every sum over images: partial sums of each image (or part of one, or of each leaf) are added leaf by
// leaf, images in ascending order, and the leaves in the fixed tree.
#pragma once

#include "kernels/cuda/image_sums.h"
#include "kernels/cuda/leaf_tree.cuh"
#include "kernels/kernel.h"

namespace xbench {

template <class T>
__device__ __forceinline__ T sum_of_leaf(const Partials<T>& from, const StepContext* step, int v, int64_t column) {
    const int64_t first = from.of_leaves ? v : step->leaf_begin[v], last = from.of_leaves ? v + 1 : step->leaf_begin[v + 1];
    const T* at = from.partial + first * from.parts * from.width + column;
    T sum = 0;
    const int64_t next = from.images * from.width;
#pragma unroll 4
    for (int64_t left = (last - first) * from.parts; left > 0; left -= from.images, at += next) sum += *at;
    return sum;
}

// For blocks of (sum_columns, sum_lanes) threads: the sum of column blockIdx.x * sum_columns + threadIdx.x, valid where
// threadIdx.y is 0 and `column` is less than the width. All threads of the block call it.
template <class T>
__device__ __forceinline__ T sum_over_leaves(const Partials<T>& from, const StepContext* step, int64_t column) {
    __shared__ T sums[2][sum_lanes][sum_columns];
    LeafTree<T> tree;
    const int leaves = step->leaves, lane = threadIdx.y;
    int buffer = 0;
    for (int v = 0; v < leaves; v += sum_lanes, buffer ^= 1) {
        const bool mine = v + lane < leaves && column < from.width;
        sums[buffer][lane][threadIdx.x] = mine ? sum_of_leaf(from, step, v + lane, column) : T{0};
        __syncthreads();
        if (lane > 0) continue;
        for (int i = 0; i < sum_lanes && v + i < leaves; ++i) tree.add(v + i, sums[buffer][i][threadIdx.x]);
    }
    return tree.total(leaves);
}

}  // namespace xbench
