// The shape of a block's tile of a matrix product on the tensor cores, for the device and for the host that launches it.
#pragma once

namespace xbench {

constexpr int stages = 3, k_of_stage = 32;  // of the ring in shared memory; K of a stage

// Rows and columns of a block and of a warp.
template <int rows_, int columns_, int warp_rows_, int warp_columns_ = 32>
struct TileShape {
    static constexpr int rows = rows_, columns = columns_, warp_rows = warp_rows_, warp_columns = warp_columns_;
    static constexpr int warps_of_rows = rows / warp_rows, threads = warps_of_rows * (columns / warp_columns) * 32;
    static constexpr int matrices = warp_rows / 16, eights = warp_columns / 8;  // of a warp: of 16 rows, of 8 columns
    static constexpr int a_bytes = rows * k_of_stage * 4, b_bytes = columns * k_of_stage * 4;
    static constexpr int stage_bytes = a_bytes + b_bytes, ring_bytes = stages * stage_bytes;
    static_assert(warp_rows % 32 == 0 && warp_columns % 32 == 0 && rows % warp_rows == 0 && columns % warp_columns == 0);
};

}  // namespace xbench
