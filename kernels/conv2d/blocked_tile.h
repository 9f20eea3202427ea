// What all loops over nchw16c share: the view of an activation as blocks of channels, the sizes of the register tile, and
// its innermost loop: for each input channel the panel's weights are loaded once and one input a pixel is broadcast, 28
// multiply-adds for 2 + 14 loads with AVX-512, 12 for 4 + 3 with AVX2. Few broadcasts matter there: they lie 64 bytes apart,
// in the same bank of the first-level cache, and a Zen 3 reads them one by one. In that cache, share of the FMA peak: 6
// pixels x 2 vectors 86% (98% with inputs 72 bytes apart), 3 x 4 98%.
#pragma once

#include "kernels/conv2d/pack_filters.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

constexpr int block = 16;
constexpr int group_vectors = 2, group_width = group_vectors * vf_width;  // of outer products and of Winograd's products
constexpr int panel_vectors = vf_width == 8 ? 4 : 2, half_panel = panel_vectors / 2;
constexpr int panel_width = panel_vectors * vf_width;  // 32 channels, portable 8
constexpr int tile_pixels_of(int vectors) { return vf_registers == 32 ? 14 : 12 / vectors; }

// An activation as blocks of channels: nchw16c, or plain with one channel a block (the stem).
struct Blocks {
    float* data;
    int64_t image, plane, row;  // steps in floats between images, channel blocks, rows
    int32_t pixel, width;       // between pixels; channels in a block
    int64_t n, c, h, w;
};

XB_INLINE Blocks blocks_of(const KernelTensor& t) {
    const bool plain = t.layout == Layout::plain;
    const int32_t width = plain ? 1 : block;
    const int64_t plane = t.dim[2] * t.dim[3] * width;
    return Blocks{static_cast<float*>(t.data),
                  div_up(t.dim[1], width) * plane,
                  plane,
                  t.dim[3] * width,
                  width,
                  width,
                  t.dim[0],
                  t.dim[1],
                  t.dim[2],
                  t.dim[3]};
}

// Pixels lo .. PT-hi-1 of the tile.
template <int PT, int KV, int STEP, int lo, int hi>
XB_INLINE void multiply_inside(VF (&acc)[PT][KV], const float* x, const float* w, int32_t channels) {
    for (int32_t c = 0; c < channels; ++c, ++x, w += KV * vf_width) {
        VF filter[KV];
#pragma GCC unroll 4
        for (int v = 0; v < KV; ++v) filter[v] = vf_load(w + v * vf_width);
#pragma GCC unroll 16
        for (int p = lo; p < PT - hi; ++p) {
            const VF input = vf_set1(x[p * STEP]);
#pragma GCC unroll 4
            for (int v = 0; v < KV; ++v) acc[p][v] = vf_fma(input, filter[v], acc[p][v]);
        }
    }
}

// Calls use(address, acc) for all vectors of a tile whose first lies at `first`: pixels `next` apart, blocks `plane`.
template <int PT, int KV, class Use>
XB_INLINE void for_tile(float* first, int64_t plane, int64_t next, VF (&acc)[PT][KV], const Use& use) {
    constexpr int each = block / vf_width < KV ? block / vf_width : KV;  // vectors of a block
#pragma GCC unroll 4
    for (int b = 0; b < KV; b += each, first += plane) {
        float* at = first;
#pragma GCC unroll 16
        for (int p = 0; p < PT; ++p, at += next)
#pragma GCC unroll 4
            for (int v = 0; v < each; ++v) use(at + v * vf_width, acc[p][b + v]);
    }
}

// The sums of a tile before its first products: the bias, or without one what an earlier call left in the output.
template <int PT, int KV>
XB_INLINE void start_tile(const float* bias, float* out, int64_t plane, int64_t next, VF (&acc)[PT][KV]) {
    if (!bias) return for_tile(out, plane, next, acc, [](const float* from, VF& sum) { sum = vf_load(from); });
#pragma GCC unroll 16
    for (int p = 0; p < PT; ++p)
#pragma GCC unroll 4
        for (int v = 0; v < KV; ++v) acc[p][v] = vf_load(bias + v * vf_width);
}

template <int PT, int KV>
XB_INLINE void end_tile(bool relu, float* out, int64_t plane, int64_t next, VF (&acc)[PT][KV]) {
    if (relu) for_tile(out, plane, next, acc, [](const float*, VF& sum) { sum = vf_relu(sum); });
    for_tile(out, plane, next, acc, [](float* to, VF& sum) { vf_store(to, sum); });
}

// The vectors of a group: fewer in the last one when its channels are only half there.
template <int whole = group_vectors>
XB_INLINE int group_vectors_at(int64_t channel, int64_t channels) {
    const int64_t left = div_up(channels, block) * block - channel;
    return left < whole * vf_width ? static_cast<int>(left / vf_width) : whole;
}

XB_INLINE int panel_vectors_at(int64_t channel, int64_t channels) {
    return group_vectors_at<panel_vectors>(channel, channels);
}

// A row of pixels cut into equal tiles.
template <class Tile>
struct RowCut {
    int32_t tiles, wide;
    Tile tile[2];  // of wide pixels, of wide - 1
};

// find(pixels) gives the function of a tile; most: pixels of a tile.
template <class Find>
XB_INLINE auto cut_row(int32_t pixels, int32_t most, const Find& find) {
    const int32_t tiles = static_cast<int32_t>(div_up(pixels, most)), wide = pixels / tiles + (pixels % tiles != 0);
    return RowCut<decltype(find(wide))>{tiles, wide, {find(wide), find(wide - 1)}};
}

// Floats of the bias, filled up with zeros to whole groups.
XB_INLINE int64_t padded_bias_size(int64_t outs) { return div_up(outs, 32) * 32; }

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
