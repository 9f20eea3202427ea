// How the direct f32 gradient of 3x3 filters cuts its work on a GPU (conv2d_direct_wgrad.cu): host and device agree here.
// Plain data.
#pragma once

#include <cstdint>

#include "kernels/conv2d/conv_shape.h"

namespace xbench {

// A thread has the nine taps of one channel for four filters, `filter_groups` apart, and the pixels of every `strips`-th
// quad of columns of two neighbouring rows. Threads are ordered (filter group, channel, row pair, strip), the strip fastest;
// the pixels of a (filter group, channel) are shared by a power of two of lanes of one warp.
constexpr int wgrad_quad = 4, filters_of_group = 4, rows_of_slice = 2, wgrad_taps = 9;

struct WgradTile {
    int32_t filter_groups, channels, strips, slices;
    int32_t filter_blocks, channel_blocks;
    int32_t quads;             // of columns of dy
    int32_t x_pitch, x_plane;  // floats of a row and of a channel in shared memory
    int32_t dy_pitch, dy_plane;
    int32_t bias_lanes;                      // that add up one filter's dy; a power of two
    int32_t parts, rows_of_part, of_leaves;  // what a block adds up: rows of an image, or all images of a leaf
    int32_t x_vectors, dy_vectors;           // 128-bit accesses of global memory

    XB_HOST_DEVICE int lanes() const { return strips * slices; }
    XB_HOST_DEVICE int filters() const { return filters_of_group * filter_groups; }
    // Whole warps, and one thread at least for each filter's bias.
    XB_HOST_DEVICE int threads() const {
        const int workers = filter_groups * channels * lanes();
        return ((workers > filters() ? workers : filters()) + 31) / 32 * 32;
    }
    XB_HOST_DEVICE int rows() const { return rows_of_slice * slices; }  // of dy at once
    XB_HOST_DEVICE int ring() const { return rows() + 2; }              // of x
    XB_HOST_DEVICE int shared_floats() const { return channels * x_plane + filters() * dy_plane; }
};

}  // namespace xbench
