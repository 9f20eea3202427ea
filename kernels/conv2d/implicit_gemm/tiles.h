// The tiles of the matrix products, for device and host: rows, columns, rows of a warp (kernels/cuda/gemm_tile.cuh).
#pragma once

#include "kernels/cuda/gemm_shape.h"

namespace xbench {

using WideTile = TileShape<128, 128, 64>;
using MediumTile = TileShape<128, 64, 64>;
using NarrowTile = TileShape<128, 32, 32>;
using LowTile = TileShape<64, 128, 64>;     // of filter gradients
using LowestTile = TileShape<32, 128, 32>;  // of products of few rows, and of gradients of odd channels
using FewFiltersTile = TileShape<32, 128, 32, 64>;

}  // namespace xbench
