// How the direct f32 convolution cuts its work on a GPU (conv2d_direct.cu): host and device agree here. Plain data.
#pragma once

#include <cstdint>

#include "kernels/conv2d/conv_shape.h"

namespace xbench {

// A thread makes 2 rows x 4 columns of outputs of 8 filters. `columns` such quads side by side and `row_pairs` of them one
// below the other are a tile; `filter_groups` of 8 filters share its pixels. The positions of a group are whole warps, so
// that a warp reads one weight at a time.
constexpr int quad = 4, filters_of_thread = 8, rows_of_thread = 2, direct_taps = 9;

struct DirectTile {
    int32_t columns, row_pairs, filter_groups;
    int32_t positions;                 // threads of a filter group: columns * row_pairs, rounded up to warps
    int32_t tiles_across, tiles_down;  // of an image
    int32_t tiles_of_block;            // one below the other
    int32_t pitch;                     // floats of a row of x in shared memory
    int32_t channels;                  // read at once
    int32_t pixel_floats;              // of shared memory: those of x, and of outputs that are stored from there
    int32_t resident;                  // 1: the filters of all channels stay in shared memory
    int32_t x_vectors, y_vectors;      // 128-bit accesses of rows of x and y

    XB_HOST_DEVICE int threads() const { return positions * filter_groups; }
    XB_HOST_DEVICE int rows() const { return rows_of_thread * row_pairs; }
    XB_HOST_DEVICE int filters() const { return filters_of_thread * filter_groups; }
    // Eight taps and four filters, which are stored together, are 32 banks.
    XB_HOST_DEVICE int filter_pitch() const { return filters() + 4; }
    XB_HOST_DEVICE int x_floats() const { return channels * (rows() + 2) * pitch; }
    // Outputs of one filter of each group.
    XB_HOST_DEVICE int staged_floats() const { return filter_groups * rows() * quad * columns; }
};

}  // namespace xbench
