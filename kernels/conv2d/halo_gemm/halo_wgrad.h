// What host and device agree on for the gradient of 3x3 filters of stride 1 on the tensor cores (halo_wgrad.cuh). Plain
// data. Images are nhwc and f32.
#pragma once

#include <cstdint>

#include "kernels/conv2d/halo_gemm/halo_tile.h"

namespace xbench {

// Channels of x and filters of a block, and how its eight warps share them: a warp has eight channels and 16 * `matrices`
// filters at all nine taps, of every so many pixels.
template <int channels_, int filters_, int matrices_>
struct WgradBlock {
    static constexpr int channels = channels_, filters = filters_, matrices = matrices_;
    static constexpr int warps_of_channels = channels / 8, warps_of_filters = filters / (16 * matrices);
    static constexpr int warps_of_pixels = halo_threads / 32 / (warps_of_channels * warps_of_filters);
    static constexpr int staged_pitch = channels * halo_taps + 4;  // floats of a filter's sums in shared memory
    static_assert(warps_of_channels * warps_of_filters * warps_of_pixels == halo_threads / 32);
};
using WideWgrad = WgradBlock<64, 64, 4>;
using MediumWgrad = WgradBlock<32, 64, 2>;
using NarrowWgrad = WgradBlock<32, 32, 2>;
using LowWgrad = WgradBlock<16, 32, 2>;
using LowestWgrad = WgradBlock<8, 16, 1>;

// A unit is some tiles of an image, or some images of a leaf; it has a partial sum of its own.
struct HaloWgrad {
    const float* x;   // {images, h, w, channels}
    const float* dy;  // {images, p, q, filters}
    float* partial;   // {images * parts, width}: dw{filters, channels, taps}, then db
    int64_t width;
    int32_t channels, filters, h, w, p, q, pad_h, pad_w;
    HaloTile tile;
    int32_t parts, tiles_of_part;
    int32_t images_of_unit;  // with parts of 1: so many images of a leaf, or what is left of it
    int32_t blocks_of_channels;
    int32_t with_bias;
};

}  // namespace xbench
