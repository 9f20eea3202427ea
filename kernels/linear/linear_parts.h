// How the f32 kernels of the fully connected layer cut their work on a GPU: host and device agree here.
#pragma once

#include <cstdint>

namespace xbench {

constexpr int linear_tile = 32, linear_threads = 64;
constexpr int few_leaves = 15, few_leaves_depth = 4;                         // most of them for which a stack of 4 is enough
constexpr int wgrad_columns = 128, wgrad_filters = 64, wgrad_threads = 512;  // of a block, 4 x 4 of dw a thread
constexpr int64_t linear_part = 512;  // of the features that one block adds up, at least
constexpr int64_t most_linear_parts = 64;

// Features of a part: a multiple of the tile that depends on f alone, so that the sum does not depend on the batch.
constexpr int64_t features_of_part(int64_t f) {
    const int64_t each = (f + most_linear_parts - 1) / most_linear_parts;
    return each <= linear_part ? linear_part : (each + linear_tile - 1) / linear_tile * linear_tile;
}
constexpr int64_t parts_of(int64_t f) { return (f + features_of_part(f) - 1) / features_of_part(f); }

}  // namespace xbench
