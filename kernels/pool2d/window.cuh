// What poolings share on a GPU: positions in images, windows, and which value is the largest.
#pragma once

#include "kernels/pool2d/pool_shape.h"

namespace xbench {

// Where a thread of a pooling's grid is.
__device__ __forceinline__ int64_t image_of(const PoolShape& shape) { return blockIdx.x / shape.blocks_of_image; }
__device__ __forceinline__ int place_in_image(const PoolShape& shape) {
    return static_cast<int>(blockIdx.x % shape.blocks_of_image * blockDim.x + threadIdx.x);
}
__device__ __forceinline__ int x_count(const PoolShape& shape) { return shape.channels * shape.h * shape.w; }
__device__ __forceinline__ int y_count(const PoolShape& shape) { return shape.channels * shape.p * shape.q; }

// Element `index` of an image {c, height, width}.
struct Place {
    int c, i, j;
    __device__ Place(int index, int height, int width)
        : c(index / (height * width)), i(index / width % height), j(index % width) {}
};

// Whether `candidate` replaces `best` as the largest so far: it is larger, or the first NaN.
__device__ __forceinline__ bool beats(float candidate, float best) {
    return candidate > best || (candidate != candidate && best == best);
}

// The largest of a window of two rows of two, and where it is: the first of equal ones.
struct Largest {
    float value;
    int place;
    __device__ __forceinline__ void meet(float candidate, int at) {
        if (!beats(candidate, value)) return;
        value = candidate;
        place = at;
    }
};
__device__ __forceinline__ Largest largest_of(float2 top, float2 bottom) {
    Largest best{top.x, 0};
    best.meet(top.y, 1);
    best.meet(bottom.x, 2);
    best.meet(bottom.y, 3);
    return best;
}

}  // namespace xbench
