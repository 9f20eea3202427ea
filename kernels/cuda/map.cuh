// Elementwise kernels: y[i] = body(a[i], b[i]) for f32 arrays of any length, four elements a thread, 128 bits at a time
// where the arrays begin at multiples of 16 bytes.
#pragma once

#include <cstdint>

#include "kernels/cuda/quad.cuh"

namespace xbench {

// Elements 4 * thread .. of arrays of `count`: load as many as there are, and store them.
struct Four {
    float v[4];
};

__device__ __forceinline__ int64_t thread_of_grid() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }

__device__ __forceinline__ Four load_four(const float* x, int64_t first, int64_t count, bool vectors) {
    Four four{{0, 0, 0, 0}};
    if (vectors && first + 4 <= count) {
        const float4 all = *reinterpret_cast<const float4*>(x + first);
        return Four{{all.x, all.y, all.z, all.w}};
    }
#pragma unroll
    for (int i = 0; i < 4; ++i)
        if (first + i < count) four.v[i] = x[first + i];
    return four;
}

__device__ __forceinline__ void store_four(float* y, const Four& four, int64_t first, int64_t count, bool vectors) {
    if (vectors && first + 4 <= count) {
        store_quad(y + first, make_float4(four.v[0], four.v[1], four.v[2], four.v[3]));
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i)
        if (first + i < count) y[first + i] = four.v[i];
}

template <class Body>
__device__ __forceinline__ void map_one(const float* x, float* y, int64_t count, int vectors, Body&& body) {
    const int64_t first = 4 * thread_of_grid();
    if (first >= count) return;
    Four four = load_four(x, first, count, vectors);
#pragma unroll
    for (int i = 0; i < 4; ++i) four.v[i] = body(four.v[i]);
    store_four(y, four, first, count, vectors);
}

template <class Body>
__device__ __forceinline__ void map_two(const float* a, const float* b, float* y, int64_t count, int vectors, Body&& body) {
    const int64_t first = 4 * thread_of_grid();
    if (first >= count) return;
    const Four left = load_four(a, first, count, vectors), right = load_four(b, first, count, vectors);
    Four four;
#pragma unroll
    for (int i = 0; i < 4; ++i) four.v[i] = body(left.v[i], right.v[i]);
    store_four(y, four, first, count, vectors);
}

// max(x, 0) that lets NaN through.
__device__ __forceinline__ float relu(float x) { return x < 0 ? 0.0f : x; }

}  // namespace xbench
