// How a change of layout is cut into tiles on a GPU: host and device agree here. Plain data.
#pragma once

#include <cstdint>

namespace xbench {

struct ReorderTile {
    int32_t all_channels, all_pixels;
    int32_t channels, pixels;  // of a tile
    int32_t pitch;             // floats of a channel's row in shared memory
};

}  // namespace xbench
