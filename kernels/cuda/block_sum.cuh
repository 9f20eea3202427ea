// Sums over the threads of a warp or a block in a fixed tree: the same bits in every run.
#pragma once

#include <cstdint>

namespace xbench {

constexpr unsigned whole_warp = 0xffffffffu;

// The sum of all 32 lanes, in every lane. Lanes l and l ^ d hold the same sum, as a + b is b + a.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(whole_warp, value, distance);
    return value;
}

// The sum over a block of `threads` threads, a multiple of 32; valid in its first warp. `scratch` has a place for each warp,
// and may be used again after a barrier.
template <int threads, class T>
__device__ __forceinline__ T block_sum(T value, T* scratch) {
    constexpr int warps = threads / 32;
    value = warp_sum(value);
    if (warps == 1) return value;
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
    __syncthreads();
    if (threadIdx.x >= 32) return value;
    return warp_sum(threadIdx.x < warps ? scratch[threadIdx.x] : T{0});
}

}  // namespace xbench
