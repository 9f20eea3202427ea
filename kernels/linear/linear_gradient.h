// The arguments of the weight gradient of a linear layer, for host and device (leaf_outer.cu). Plain data.
#pragma once

#include <cstdint>

namespace xbench {

struct LinearGradient {
    const float *x, *dy;  // {n,f}, {n,k}
    float *dw, *db;       // {k,f}, {k}; db null: none
    int32_t features, outputs;
    int32_t x_vectors, dw_vectors;  // whether they may be read and written 128 bits at a time
};

constexpr int few_leaves = 15;                                      // most of them for which a stack of 4 is enough
constexpr int outer_columns = 128, outer_lanes = 8;                 // features of a block; threads over outputs
constexpr int rows_with_few_leaves = 4, rows_with_many_leaves = 1;  // outputs of a thread

}  // namespace xbench
