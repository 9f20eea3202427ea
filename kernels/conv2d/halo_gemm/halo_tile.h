// Tiles of an image's pixels that keep a rim of one pixel around them in shared memory, as host and device see them. Plain
// data. A tile has 256 pixels, 8 or 16 across; a block has 256 threads.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace xbench {

constexpr int halo_threads = 256, halo_pixels_of_tile = 256, halo_taps = 9, halo_chunk_bytes = 64;

struct HaloTile {
    int32_t width_bits;  // 3 or 4: of a tile's pixels across
    int32_t across, of_image;

    XB_HOST_DEVICE int width() const { return 1 << width_bits; }
    XB_HOST_DEVICE int height() const { return halo_pixels_of_tile >> width_bits; }
    XB_HOST_DEVICE int halo_width() const { return width() + 2; }
    XB_HOST_DEVICE int halo_pixels() const { return halo_width() * (height() + 2); }
};

// The pixels of an image in 16 x 16 or 8 x 32, whichever are fewer tiles.
inline HaloTile halo_tile(int64_t height, int64_t width) {
    const auto share = [](int64_t count, int64_t by) { return (count + by - 1) / by; };
    const auto tiles = [&](int bits) { return share(width, 1 << bits) * share(height, halo_pixels_of_tile >> bits); };
    const int bits = tiles(3) < tiles(4) ? 3 : 4;
    return {bits, static_cast<int32_t>(share(width, 1 << bits)), static_cast<int32_t>(tiles(bits))};
}

}  // namespace xbench
