// The arguments of the weight gradient of a linear layer, for host and device (leaf_outer.cu). Plain data.
#pragma once

#include <cstdint>

#include "kernels/linear/linear_parts.h"

namespace xbench {

struct LinearGradient {
    const float *x, *dy;  // {n,f}, {n,k}
    float *dw, *db;       // {k,f}, {k}; db null: none
    int32_t features, outputs;
    int32_t x_vectors, dw_vectors;  // whether they may be read and written 128 bits at a time
};

constexpr int outer_columns = 128, outer_lanes = 16, outer_images = 16;  // features of a block; threads over outputs; images
constexpr int rows_with_few_leaves = 4, rows_with_many_leaves = 1;       // outputs of a thread

}  // namespace xbench
