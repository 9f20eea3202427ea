// A pooling as its kernels on a GPU take it. Plain data: host and device include it.
#pragma once

#include <cstdint>

namespace xbench {

// Images {n, channels, h, w} pooled to {n, channels, p, q}. Positions inside an image are 32 bits wide.
struct PoolShape {
    int32_t channels, h, w, p, q;
    uint32_t blocks_of_image;  // of the grid
};

// Of kernels whose threads take several windows, a warp's width apart, so that they read what they need of a channel once.
constexpr int windows_of_thread = 4;

}  // namespace xbench
