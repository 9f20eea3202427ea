// One channel of one image, which is one after the other in memory: its two sums of a batch normalisation, by a group of
// threads in a fixed tree, and what each of its pixels is normalised with.
#pragma once

#include "kernels/cuda/block_sum.cuh"
#include "kernels/cuda/map.cuh"

namespace xbench {

struct Pair {
    double first, second;
};

// Mean and rstd of a channel of mean_rstd{2,c}.
struct Norm {
    float mean, rstd;
    __device__ Norm(float mean, float rstd) : mean(mean), rstd(rstd) {}
    __device__ Norm(const float* mean_rstd, int channels, int c) : mean(mean_rstd[c]), rstd(mean_rstd[channels + c]) {}
    __device__ float operator()(float x) const { return (x - mean) * rstd; }
};

// The sums over `pixels` of what term(first, pair) adds for four pixels from `first`. A group of `threads` has the plane; of
// more than a warp the group is a whole block. Valid in the group's first thread.
template <int threads, class Term>
__device__ __forceinline__ Pair plane_sums(int pixels, Term&& term) {
    __shared__ double scratch[2][threads / 32];
    Pair pair{0, 0};
    for (int first = 4 * static_cast<int>(threadIdx.x % threads); first < pixels; first += 4 * threads) term(first, pair);
    pair.first = block_sum<threads>(pair.first, scratch[0]);
    pair.second = block_sum<threads>(pair.second, scratch[1]);
    return pair;
}

// partial{planes of images, 2 sums, channels}
__device__ __forceinline__ void store_sums(double* partial, const Pair& pair, int64_t image, int channels, int c) {
    partial[2 * image * channels + c] = pair.first;
    partial[(2 * image + 1) * channels + c] = pair.second;
}

}  // namespace xbench
