// A convolution of few channels that reads plain images and writes nhwc ones, as its kernels on a GPU take it. Plain data.
#pragma once

#include <cstdint>

namespace xbench {

struct StemShape {
    int32_t c, h, w, k, p, q, r, s;
    int32_t stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
    int32_t quads;               // of filters: (k + 3) / 4
    int32_t parts, part_pixels;  // of an image of y
    int64_t width;               // of a part's sums: k * c * r * s and, with a bias, k more
};

constexpr int stem_threads = 256, pixels_of_stem_block = 256;
constexpr int stem_rows = 8, elements_of_stem_thread = 4;  // of a filter gradient: threads and elements of a filter

}  // namespace xbench
