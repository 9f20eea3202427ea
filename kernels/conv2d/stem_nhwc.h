// A first layer of few channels on a GPU, which reads plain images and writes nhwc ones, as host and device see it. Plain
// data. A block has some rows of items, one below the other: pixels of the convolution, or 2x2 windows of them. What they
// read of x lies in shared memory with its padding.
#pragma once

#include <cstdint>

#include "kernels/conv2d/conv_shape.h"
#include "kernels/cuda/nhwc_walk.h"

namespace xbench {

struct StemShape {
    ConvShape conv;
    NhwcWalk walk;            // over items, with conv.k channels
    int32_t window;           // 1 or 2: pixels of an item, across and down
    int32_t across;           // items of a row
    int32_t x_rows, x_pitch;  // of a channel in shared memory
    int32_t scratch_bytes;    // of shared memory in front of it
    int64_t width;            // of a block's part of a filter gradient: k * depth, and k more for the bias

    XB_HOST_DEVICE int x_floats() const { return conv.c * x_rows * x_pitch; }
};

}  // namespace xbench
