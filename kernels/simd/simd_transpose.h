// A square of vf_width x vf_width floats in registers is transposed by log2(vf_width) rounds of weaving the first half of
// its rows into the second. Used wherever channels that lie far apart become the lanes of a vector.
// All static inline in the namespace of the instruction set, as simd.h.
#pragma once

#include "kernels/simd/simd_pool.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {

// A round moves the top bit of the row's number to the bottom of the lane's number; after all rounds the two have changed
// places.
XB_INLINE void vf_transpose(VF (&row)[vf_width]) {
#pragma GCC unroll 4
    for (int round = 1; round < vf_width; round *= 2) {
        VF woven[vf_width];
#pragma GCC unroll 8
        for (int i = 0; i < vf_width / 2; ++i) {
            woven[2 * i] = vf_weave_low(row[i], row[i + vf_width / 2]);
            woven[2 * i + 1] = vf_weave_high(row[i], row[i + vf_width / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < vf_width; ++i) row[i] = woven[i];
    }
}

// Rows `step` floats apart, of which `rows` exist and `columns` floats each are read; the rest is zero.
XB_INLINE void vf_load_transposed(VF (&column)[vf_width], const float* from, int64_t step, int rows, int columns) {
    if (rows == vf_width && columns == vf_width) {
#pragma GCC unroll 16
        for (int i = 0; i < vf_width; ++i) column[i] = vf_load(from + i * step);
    } else {
        const VM mask = vm_first(columns);
#pragma GCC unroll 16
        for (int i = 0; i < vf_width; ++i) column[i] = i < rows ? vf_load(from + i * step, mask) : vf_zero();
    }
    vf_transpose(column);
}

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
