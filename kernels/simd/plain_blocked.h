// Between rows of pixels, one for each channel (plain), and 16 channels a pixel (nchw16c): square tiles of one vector by one
// vector are turned in registers. For *.isa.cpp, like kernels/simd/simd.h.
//   to_blocked   `channels` rows, `row_step` floats apart, of `pixels` floats -> {pixels, 16}; other lanes become zero
//   to_plain     the way back; only the `channels` rows are written
#pragma once

#include "kernels/simd/chunk.h"
#include "kernels/simd/simd_transpose.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {

// The first `count` lanes; without a mask where count is a constant vf_width.
XB_INLINE VF load_first(const float* p, int count) { return count == vf_width ? vf_load(p) : vf_load(p, vm_first(count)); }
XB_INLINE void store_first(float* p, VF v, int count) {
    if (count == vf_width)
        vf_store(p, v);
    else
        vf_store(p, v, vm_first(count));
}

XB_INLINE int most_lanes(int64_t left) { return static_cast<int>(left < 0 ? 0 : left < vf_width ? left : vf_width); }

#if defined(XB_AVX512)
// At most 8 channels: half the shuffles, as a vector holds them for two pixels.
XB_INLINE void to_blocked_half(const float* plain_rows, int64_t row_step, float* blocked, int64_t channels, int width) {
    VF rows[8];
    for (int i = 0; i < 8; ++i) rows[i] = i < channels ? load_first(plain_rows + i * row_step, width) : vf_zero();
    for (int stage = 0; stage < 3; ++stage) {
        VF next[8];
        for (int i = 0; i < 4; ++i) {
            next[2 * i] = vf_weave_low(rows[i], rows[i + 4]);
            next[2 * i + 1] = vf_weave_high(rows[i], rows[i + 4]);
        }
        for (int i = 0; i < 8; ++i) rows[i] = next[i];
    }
    for (int i = 0; i < width; ++i)
        vf_store(blocked + i * chunk_size, i % 2 ? _mm512_maskz_shuffle_f32x4(0xFF, rows[i / 2], rows[i / 2], 0xEE)
                                                 : _mm512_maskz_mov_ps(0xFF, rows[i / 2]));
}

XB_INLINE void to_plain_half(const float* blocked, float* plain_rows, int64_t row_step, int64_t channels, int width) {
    VF rows[8];
    for (int i = 0; i < 8; ++i) {
        const VF first = _mm512_castps256_ps512(_mm256_loadu_ps(blocked + (2 * i < width ? 2 * i : 0) * chunk_size));
        rows[i] = _mm512_insertf32x8(first, _mm256_loadu_ps(blocked + (2 * i + 1 < width ? 2 * i + 1 : 0) * chunk_size), 1);
    }
    for (int stage = 0; stage < 3; ++stage) {
        VF next[8];
        for (int i = 0; i < 4; ++i) {
            next[i] = vf_even(rows[2 * i], rows[2 * i + 1]);
            next[i + 4] = vf_odd(rows[2 * i], rows[2 * i + 1]);
        }
        for (int i = 0; i < 8; ++i) rows[i] = next[i];
    }
    for (int i = 0; i < channels; ++i) store_first(plain_rows + i * row_step, rows[i], width);
}
#endif

XB_INLINE void to_blocked(const float* plain_rows, int64_t row_step, float* blocked, int64_t channels, int64_t pixels) {
#if defined(XB_AVX512)
    if (channels <= 8) {
        for (int64_t pixel = 0; pixel < pixels; pixel += vf_width)
            to_blocked_half(plain_rows + pixel, row_step, blocked + pixel * chunk_size, channels,
                            most_lanes(pixels - pixel));
        return;
    }
#endif
    for (int64_t pixel = 0; pixel < pixels; pixel += vf_width)
        for (int k = 0; k < chunk_parts; ++k) {
            const int width = most_lanes(pixels - pixel), real = most_lanes(channels - k * vf_width);
            VF rows[vf_width];
            for (int i = 0; i < vf_width; ++i)
                rows[i] = i < real ? load_first(plain_rows + (k * vf_width + i) * row_step + pixel, width) : vf_zero();
            vf_transpose(rows);
            for (int i = 0; i < width; ++i) vf_store(blocked + (pixel + i) * chunk_size + k * vf_width, rows[i]);
        }
}

XB_INLINE void to_plain(const float* blocked, float* plain_rows, int64_t row_step, int64_t channels, int64_t pixels) {
#if defined(XB_AVX512)
    if (channels <= 8) {
        for (int64_t pixel = 0; pixel < pixels; pixel += vf_width)
            to_plain_half(blocked + pixel * chunk_size, plain_rows + pixel, row_step, channels, most_lanes(pixels - pixel));
        return;
    }
#endif
    for (int64_t pixel = 0; pixel < pixels; pixel += vf_width)
        for (int k = 0; k * vf_width < channels; ++k) {
            const int width = most_lanes(pixels - pixel), real = most_lanes(channels - k * vf_width);
            VF rows[vf_width];
            for (int i = 0; i < vf_width; ++i)
                rows[i] = i < width ? vf_load(blocked + (pixel + i) * chunk_size + k * vf_width) : vf_zero();
            vf_transpose(rows);
            for (int i = 0; i < real; ++i) store_first(plain_rows + (k * vf_width + i) * row_step + pixel, rows[i], width);
        }
}

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
