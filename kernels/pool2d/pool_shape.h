// A pooling as its kernels on a GPU take it. Plain data: host and device include it.
#pragma once

#include <cstdint>

namespace xbench {

// Images {n, channels, h, w} pooled to {n, channels, p, q}. Positions inside an image are 32 bits wide.
struct PoolShape {
    int32_t channels, h, w, p, q;
    uint32_t blocks_of_image;  // of the grid
};

}  // namespace xbench
