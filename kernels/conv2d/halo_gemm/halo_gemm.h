// What host and device agree on for 3x3 convolutions of stride 1 on the tensor cores whose tiles keep what they read of an
// image in shared memory (halo_gemm.cuh). Plain data. Images are nhwc and f32; a block's filters are packed as the tensor
// cores take them, rounded: {tap, columns of the block, channels}, in units of 16 bytes whose places are swizzled.
#pragma once

#include <cstdint>

#include "core/ops.h"
#include "kernels/conv2d/halo_gemm/halo_tile.h"

namespace xbench {

struct HaloProduct {
    const float* source;  // {images, h, w, channels}
    const void* filters;  // packed, block after block
    const float* bias;    // {columns}; null: none
    const float* shift;   // of the statistics: {columns}
    float* result;        // {images, p, q, columns}
    double* partial;      // of the statistics: {tiles, 2, columns}
    int32_t channels, columns, h, w, p, q, pad_h, pad_w;
    HaloTile tile;
    int32_t tiles;
    int32_t chunks, units;  // of a pixel's channels: 64 bytes; of a packed filter's: 16 bytes
    int32_t relu;
};

// The 2x2 max-pooling behind a convolution, of which p and q are the pixels that windows cover.
struct HaloPool {
    float* y;        // {images, p / 2, q / 2, columns}
    uint8_t* index;  // null in inference
    Dropout dropout;
};

// Filters {k, c, 3, 3} to packed ones. backward: columns are c, channels are k, and taps are turned round.
struct PackedFilters {
    const float* from;
    void* to;
    int32_t channels, columns;  // of the product
    int32_t units, columns_of_block, backward;
};
constexpr int columns_of_packing = 8;  // of a block of the packing kernel

// Where unit `u` of a column's channels lies among its units: eight columns hit different banks.
XB_HOST_DEVICE inline int swizzled_unit(int column, int u, int units) {
    return u ^ (units == 4 ? column >> 1 & 3 : column & 7);
}

}  // namespace xbench
