// A convolution as its f32 kernels on a GPU take it, and how its filter gradients are cut. Plain data: host and device agree
// here.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace xbench {

// x{n, c, h, w}, filters {k, c / groups, r, s}, y{n, k, p, q}. Positions inside an image are 32 bits wide.
struct ConvShape {
    int32_t c, h, w, k, p, q, r, s;
    int32_t stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
    int32_t groups;

    XB_HOST_DEVICE int taps() const { return r * s; }
    XB_HOST_DEVICE int channels_of_group() const { return c / groups; }
    XB_HOST_DEVICE int filters_of_group() const { return k / groups; }
    XB_HOST_DEVICE int depth() const { return channels_of_group() * taps(); }  // of a filter
};

// Of the gradient of the filters: which of the partial sums a block makes.
struct WgradCut {
    int32_t of_leaves;  // a block adds up a leaf in place of an image
    int32_t parts;      // of an image's pixels
    int32_t pixels;     // of a part
};

}  // namespace xbench
