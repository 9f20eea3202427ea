// Between rows of pixels, one for each channel (plain), and 16 channels a pixel (nchw16c): square tiles of one vector by one
// vector are turned in registers, log2(width) perfect shuffles. For *.isa.cpp, like kernels/simd.h.
//   to_blocked   `channels` rows, `row_step` floats apart, of `pixels` floats -> {pixels, 16}; other lanes become zero
//   to_plain     the way back; only the `channels` rows are written
#pragma once

#include "kernels/chunk.h"
#include "kernels/simd_pool.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {

// rows[i] lane j becomes rows[j] lane i: weaving row i with row i + width/2, log2(width) times.
XB_INLINE void transpose(VF (&rows)[vf_width]) {
    for (int stage = 1; stage < vf_width; stage *= 2) {
        VF next[vf_width];
        for (int i = 0; i < vf_width / 2; ++i) {
            next[2 * i] = vf_weave_low(rows[i], rows[i + vf_width / 2]);
            next[2 * i + 1] = vf_weave_high(rows[i], rows[i + vf_width / 2]);
        }
        for (int i = 0; i < vf_width; ++i) rows[i] = next[i];
    }
}

// The first `count` lanes; without a mask where count is a constant vf_width.
XB_INLINE VF load_first(const float* p, int count) { return count == vf_width ? vf_load(p) : vf_load(p, vm_first(count)); }
XB_INLINE void store_first(float* p, VF v, int count) {
    if (count == vf_width)
        vf_store(p, v);
    else
        vf_store(p, v, vm_first(count));
}

XB_INLINE int most_lanes(int64_t left) { return static_cast<int>(left < 0 ? 0 : left < vf_width ? left : vf_width); }

XB_INLINE void to_blocked(const float* plain_rows, int64_t row_step, float* blocked, int64_t channels, int64_t pixels) {
    for (int64_t pixel = 0; pixel < pixels; pixel += vf_width)
        for (int k = 0; k < chunk_parts; ++k) {
            const int width = most_lanes(pixels - pixel), real = most_lanes(channels - k * vf_width);
            VF rows[vf_width];
            for (int i = 0; i < vf_width; ++i)
                rows[i] = i < real ? load_first(plain_rows + (k * vf_width + i) * row_step + pixel, width) : vf_zero();
            transpose(rows);
            for (int i = 0; i < width; ++i) vf_store(blocked + (pixel + i) * chunk_size + k * vf_width, rows[i]);
        }
}

XB_INLINE void to_plain(const float* blocked, float* plain_rows, int64_t row_step, int64_t channels, int64_t pixels) {
    for (int64_t pixel = 0; pixel < pixels; pixel += vf_width)
        for (int k = 0; k < chunk_parts; ++k) {
            const int width = most_lanes(pixels - pixel), real = most_lanes(channels - k * vf_width);
            VF rows[vf_width];
            for (int i = 0; i < vf_width; ++i)
                rows[i] = i < width ? vf_load(blocked + (pixel + i) * chunk_size + k * vf_width) : vf_zero();
            transpose(rows);
            for (int i = 0; i < real; ++i) store_first(plain_rows + (k * vf_width + i) * row_step + pixel, rows[i], width);
        }
}

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
