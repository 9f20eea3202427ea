// The register tile of the gradients of filters: outer products of a few channels, which are broadcast, and two vectors of
// others. 16 multiply-adds for 2 + 8 loads with AVX-512; 12 for 2 + 6 with AVX2, where 8 would only just hide the latency
// of two units. The channels that are broadcast lie side by side and come from one line of the cache.
// And what surrounds it: the walk over bands of rows and taps, the tree over the leaves, the way of the sums to dw.
#pragma once

#include "kernels/conv2d/blocked_tile.h"
#include "kernels/leaf_tree.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

// The tile: input channels x vectors of output channels. AVX2: 6 x 2, as 16 channels are 5 + 5 + 6.
constexpr int wgrad_channels = vf_registers == 32 ? 8 : 6, wgrad_parts = (block + wgrad_channels - 1) / wgrad_channels;

// A block of 16 channels in wgrad_parts equal parts: the first channel of part `chunk`, counted over all blocks.
XB_INLINE int64_t wgrad_chunk_begin(int64_t chunk) {
    return chunk / wgrad_parts * block + chunk % wgrad_parts * block / wgrad_parts;
}
XB_INLINE int64_t wgrad_chunk_channels(int64_t chunk, int64_t channels) {
    const int64_t begin = wgrad_chunk_begin(chunk), end = wgrad_chunk_begin(chunk + 1);
    return (end < channels ? end : channels) - begin;
}
// How many parts some channels have.
XB_INLINE int64_t wgrad_chunks(int64_t channels) {
    int64_t chunks = channels / block * wgrad_parts;
    while (wgrad_chunk_begin(chunks) < channels) ++chunks;
    return chunks;
}

// products.template of<CT, KV>() for so many channels and vectors, one or two.
template <int CT = wgrad_channels, class Products>
static auto find_products(int64_t channels, int vectors, const Products& products) {
    if constexpr (CT > 1)
        if (channels < CT) return find_products<CT - 1>(channels, vectors, products);
    return vectors == 1 ? products.template of<CT, 1>() : products.template of<CT, 2>();
}

// A tile's sums {CT}{step}.
template <int CT, int KV>
XB_INLINE void load_sums(const float* sums, int step, VF (&acc)[CT][KV]) {
#pragma GCC unroll 8
    for (int c = 0; c < CT; ++c)
#pragma GCC unroll 2
        for (int v = 0; v < KV; ++v) acc[c][v] = vf_load(sums + c * step + v * vf_width);
}
template <int CT, int KV>
XB_INLINE void clear_sums(VF (&acc)[CT][KV]) {
#pragma GCC unroll 8
    for (int c = 0; c < CT; ++c)
#pragma GCC unroll 2
        for (int v = 0; v < KV; ++v) acc[c][v] = vf_zero();
}
template <int CT, int KV>
XB_INLINE void store_sums(float* sums, int step, const VF (&acc)[CT][KV]) {
#pragma GCC unroll 8
    for (int c = 0; c < CT; ++c)
#pragma GCC unroll 2
        for (int v = 0; v < KV; ++v) vf_store(sums + c * step + v * vf_width, acc[c][v]);
}

// acc[c][v] += broadcast[c] vectors[v].
template <int CT, int KV>
XB_INLINE void add_outer_product(const float* broadcast, const VF (&vectors)[KV], VF (&acc)[CT][KV]) {
#pragma GCC unroll 8
    for (int c = 0; c < CT; ++c) {
        const VF number = vf_set1(broadcast[c]);
#pragma GCC unroll 2
        for (int v = 0; v < KV; ++v) acc[c][v] = vf_fma(number, vectors[v], acc[c][v]);
    }
}

// Bands of so many pixels' rows, and in each the taps that read inside of the image: add(r, s, first row, end, sums of tap).
template <class AddTap>
XB_INLINE void walk_bands(const Axis& rows, const Axis& columns, int32_t pixels, int64_t tap_size, float* sums,
                          const AddTap& add) {
    const int32_t band = columns.outputs >= pixels ? 1 : pixels / columns.outputs;
    for (int32_t p0 = 0; p0 < rows.outputs; p0 += band) {
        float* to = sums;
        for (int32_t r = 0; r < rows.taps; ++r) {
            const OutputRange valid = rows.tap[r].inside;
            const int32_t from = p0 > valid.lo ? p0 : valid.lo, until = p0 + band < valid.hi ? p0 + band : valid.hi;
            for (int32_t s = 0; s < columns.taps; ++s, to += tap_size)
                if (from < until) add(r, s, from, until, to);
        }
    }
}

// left[i] += right[i] for begin <= i < end.
XB_INLINE void add_floats(float* left, const float* right, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += vf_width) vf_store(left + i, vf_load(left + i) + vf_load(right + i));
}

// The two newest of `level` partial sums of `size` floats become one.
XB_INLINE void merge_top(float* sums, int64_t size, int level) {
    float* left = sums + (level - 2) * size;
    add_floats(left, left + size, 0, size);
}

XB_INLINE void clear(float* sums, int64_t size) {
    for (int64_t i = 0; i < size; i += vf_width) vf_store(sums + i, vf_zero());
}

// Evaluates the tree over the leaves on a stack of partial sums of `size` floats each; the result is the first of them.
// add_image(n, sums) adds image n to a partial sum.
template <class AddImage>
XB_INLINE void sum_leaves(const StepContext& step, float* stack, int64_t size, const AddImage& add_image) {
    int level = 0;
    for (int32_t v = 0; v < step.leaves; ++v) {
        float* sums = stack + level++ * size;
        clear(sums, size);
        for (int64_t n = step.leaf_begin[v]; n < step.leaf_begin[v + 1]; ++n) add_image(n, sums);
        for (int merges = leaf_tree_merges(v); merges > 0; --merges) merge_top(stack, size, level--);
    }
    for (; level > 1; --level) merge_top(stack, size, level);
}

// Some filters' elements: `outputs` of output channels from k on, `channels` of input channels from c on.
struct FilterPart {
    int64_t k, outputs, c, channels;
};

// Sums {tap: tap_size}{channel: width}{output channel} to the canonical dw{k}{in_channels}{taps}.
XB_INLINE void store_filter_part(const float* sums, int64_t tap_size, int64_t width, const FilterPart& part, float* dw,
                                 int64_t in_channels, int64_t taps) {
    for (int64_t lane = 0; lane < part.outputs; ++lane)
        for (int64_t i = 0; i < part.channels; ++i) {
            float* to = dw + ((part.k + lane) * in_channels + part.c + i) * taps;
            for (int64_t tap = 0; tap < taps; ++tap) to[tap] = sums[tap * tap_size + i * width + lane];
        }
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
