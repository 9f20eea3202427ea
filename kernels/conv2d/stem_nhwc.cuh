// A first layer from plain images to nhwc ones (stem_nhwc.h): what its kernels share. A thread has four filters and every so
// many items of a block's rows; x and the filters lie in shared memory, where a warp reads x by broadcast and filters by 128
// bits. Products in f32.
#pragma once

#include "kernels/conv2d/stem_nhwc.h"
#include "kernels/cuda/nhwc_walk.cuh"

namespace xbench {

__device__ __forceinline__ float* stem_pixels(const StemShape& s) {
    extern __shared__ double nhwc_shared[];
    return reinterpret_cast<float*>(reinterpret_cast<char*>(nhwc_shared) + s.scratch_bytes);
}

// What the block's items read of x, zeros around the image.
template <int vec>
__device__ __forceinline__ void load_stem_pixels(float* xs, const float* x, const StemShape& s,
                                                 const NhwcPlace<vec>& place) {
    const ConvShape& conv = s.conv;
    const int first_row = place.first / s.across * s.window * conv.stride_h - conv.pad_h;
    const float* const image = x + place.image * conv.c * conv.h * conv.w;
    for (int at = static_cast<int>(threadIdx.x); at < s.x_floats(); at += static_cast<int>(blockDim.x)) {
        const int line = at / s.x_pitch, w = at - line * s.x_pitch - conv.pad_w;
        const int c = line / s.x_rows, h = first_row + line - c * s.x_rows;
        const bool inside = static_cast<unsigned>(h) < static_cast<unsigned>(conv.h) &&
                            static_cast<unsigned>(w) < static_cast<unsigned>(conv.w);
        xs[at] = inside ? image[(c * conv.h + h) * conv.w + w] : 0.0f;
    }
}

// {depth}{channels of the block}
template <int vec>
__device__ __forceinline__ void load_stem_filters(float* ws, const float* filters, const StemShape& s) {
    const int depth = s.conv.depth(), width = s.walk.units * vec, begin = static_cast<int>(blockIdx.y) * width;
    for (int at = static_cast<int>(threadIdx.x); at < width * depth; at += static_cast<int>(blockDim.x)) {
        const int k = at / depth, d = at - k * depth;
        ws[d * width + k] = begin + k < s.conv.k ? filters[static_cast<int64_t>(begin + k) * depth + d] : 0.0f;
    }
}

// Item's row and column, and where its first pixel begins in shared memory.
struct StemItem {
    int i, j;
    const float* pixels;
    template <int vec>
    __device__ __forceinline__ StemItem(const float* xs, const StemShape& s, const NhwcPlace<vec>& place, int item)
        : i(item / s.across), j(item - i * s.across) {
        const int row = (i - place.first / s.across) * s.window * s.conv.stride_h;
        pixels = xs + row * s.x_pitch + j * s.window * s.conv.stride_w;
    }
    // Of pixel `at` of the item.
    template <int window>
    __device__ __forceinline__ static int offset(const StemShape& s, int at) {
        return at / window * s.conv.stride_h * s.x_pitch + at % window * s.conv.stride_w;
    }
};

// The sums of an item's window * window pixels for the thread's filters, which begin at `ws`.
template <int vec, int window>
__device__ __forceinline__ void convolve_item(float (&sums)[window * window][vec], const StemItem& item, const float* ws,
                                              const StemShape& s) {
    const ConvShape& conv = s.conv;
    const int width = s.walk.units * vec;
    int offsets[window * window];
#pragma unroll
    for (int at = 0; at < window * window; ++at) {
        offsets[at] = StemItem::offset<window>(s, at);
#pragma unroll
        for (int i = 0; i < vec; ++i) sums[at][i] = 0;
    }
    for (int c = 0; c < conv.c; ++c)
        for (int r = 0; r < conv.r; ++r) {
            const float* from = item.pixels + (c * s.x_rows + r * conv.dilation_h) * s.x_pitch;
            for (int t = 0; t < conv.s; ++t, from += conv.dilation_w, ws += width) {
                float w[vec];
                if constexpr (vec == 4) {
                    const float4 four = load_shared_quad(ws);
                    w[0] = four.x, w[1] = four.y, w[2] = four.z, w[3] = four.w;
                } else {
                    w[0] = *ws;
                }
#pragma unroll
                for (int at = 0; at < window * window; ++at) {
                    const float value = from[offsets[at]];
#pragma unroll
                    for (int i = 0; i < vec; ++i) sums[at][i] = fmaf(value, w[i], sums[at][i]);
                }
            }
        }
}

}  // namespace xbench
