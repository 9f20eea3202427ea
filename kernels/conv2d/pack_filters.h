// The canonical filters {k, c, r, s} rearranged for the loops over nchw16c: output channels become the lanes of vectors. For
// dgrad input and output channels change places. Squares of vf_width x vf_width floats are transposed in registers: moving
// single floats took as long as the convolution itself at 7x7 pixels (512 -> 2048 channels: 4.2 ms, now 1).
#pragma once

#include "kernels/conv2d/taps.h"
#include "kernels/simd/simd_transpose.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

// Where the filter's tap r*s lies among the packed taps; -1: not used (a phase of dgrad).
struct TapOrder {
    int16_t at[max_taps * max_taps];
    int32_t area;  // taps of the canonical filter
    int32_t used;  // of them
};

XB_INLINE TapOrder tap_order(const FilterView& w, const Axis& rows, const Axis& columns) {
    TapOrder order;
    order.area = w.area;
    order.used = rows.taps * columns.taps;
    for (int32_t t = 0; t < w.area; ++t) order.at[t] = -1;
    for (int32_t r = 0; r < rows.taps; ++r)
        for (int32_t s = 0; s < columns.taps; ++s)
            order.at[rows.tap[r].filter * w.s + columns.tap[s].filter] = static_cast<int16_t>(r * columns.taps + s);
    return order;
}

XB_INLINE bool any_tap(const TapOrder& taps, int32_t first, int32_t count) {
    bool any = false;
    for (int32_t i = 0; i < count; ++i) any |= taps.at[first + i] >= 0;
    return any;
}

// Of so few used taps among others (a phase of dgrad) floats are moved one by one: squares hold mostly taps of other phases.
constexpr int32_t few_taps = 2;

// One vector of output channels of the input channels c0 .. c0+channels-1, to {tap}{channel}{width}. `lanes` exist.
static void pack_vector(const FilterView& w, const TapOrder& taps, int64_t k, int64_t c0, int32_t channels, int width,
                        float* packed) {
    const int64_t left = w.outs - k;
    const int lanes = left >= vf_width ? vf_width : left > 0 ? static_cast<int>(left) : 0;
    const float* from = w.data + k * w.out_step + c0 * w.in_step;
    if (w.out_step == 1) {  // dgrad of a 1x1 filter: already side by side
        for (int32_t c = 0; c < channels && taps.at[0] >= 0; ++c)
            vf_store(packed + int64_t{c} * width, vf_load(from + c * w.in_step, vm_first(lanes)));
        return;
    }
    if (taps.used < taps.area && taps.used <= few_taps) {
        for (int32_t tap = 0; tap < taps.area; ++tap)
            for (int32_t c = 0; c < channels && taps.at[tap] >= 0; ++c)
                vf_store(packed + (int64_t{taps.at[tap]} * channels + c) * width,
                         vf_load_strided(from + c * w.in_step + tap, w.out_step, 0, lanes));
        return;
    }
    const bool together = w.in_step == w.area;  // the filters of all input channels follow each other
    const int32_t run = together ? channels * w.area : w.area;
    for (int32_t c = 0; c < (together ? 1 : channels); ++c) {
        int32_t channel = c, tap = 0;
        for (int32_t j = 0; j < run; j += vf_width) {
            const int count = run - j < vf_width ? run - j : vf_width;
            if (!together && !any_tap(taps, j, count)) {
                tap += count;
                continue;
            }
            VF column[vf_width];
            vf_load_transposed(column, from + c * w.in_step + j, w.out_step, lanes, count);
            for (int i = 0; i < count; ++i) {
                const int32_t at = taps.at[tap];
                if (at >= 0) vf_store(packed + (int64_t{at} * channels + channel) * width, column[i]);
                if (++tap == w.area) tap = 0, ++channel;
            }
        }
    }
}

// One group of output channels; channels past the last are zero.
XB_INLINE void pack_block(const FilterView& w, const TapOrder& taps, int64_t k, int64_t c0, int32_t channels, int vectors,
                          float* packed) {
    for (int v = 0; v < vectors; ++v)
        pack_vector(w, taps, k + v * vf_width, c0, channels, vectors * vf_width, packed + v * vf_width);
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
