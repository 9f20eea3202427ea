// The gradient of 1x1 filters over nchw16c: dw{k,c} = dy{k, pixels} x{pixels, c}. Tiles of 8 output x 32 input channels in
// registers (AVX2: 6 x 16, wgrad_tile.h); dw is written without transposing. A block of up to 64 x 256 (or 256 x 64)
// channels walks over the images once, a chunk of 512 pixels after the other, which then lies in the second-level cache;
// with AVX2 64 to 512 pixels were as fast, and so was asking for the next chunk before its time. Between chunks the sums
// wait in the thread's workspace, where the tree over the leaves is evaluated.
#pragma once

#include "kernels/conv2d/wgrad_tile.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

constexpr int chunk_pixels = 512;
constexpr int inner_width = group_width;        // the tile {k}{c}: c in vectors, k is broadcast
constexpr int block_tiles = 256 / inner_width;  // the block: at most so many tiles of c, and sums
constexpr int64_t block_sums = 64 * 256;

struct PointwiseWgradJob {
    Blocks x, dy;  // of the same pixels
    const StepContext* step;
    float* dw;
    float* stack;           // this thread's partial sums
    int32_t block_outputs;  // of a block: more where there are few input channels
    int32_t pixels;         // of an image
};

// One tile and one chunk of pixels.
struct PointwiseProduct {
    const float *x, *dy;
    int64_t x_plane;
    int32_t pixels;
    float* sums;
    bool first;  // of this leaf: the sums begin at zero
    int merges;  // after the last chunk of a leaf: how many sums to the left are added
};

template <int KT, int CV>
static void multiply_pixels(const PointwiseProduct& t) {
    VF acc[KT][CV];
    if (t.first)
        clear_sums(acc);
    else
        load_sums(t.sums, inner_width, acc);
    const int64_t next = vf_width == block ? t.x_plane : vf_width;
    const float *x = t.x, *dy = t.dy;
    for (int32_t j = 0; j < t.pixels; ++j, x += block, dy += block) {
        VF input[CV];
#pragma GCC unroll 2
        for (int v = 0; v < CV; ++v) input[v] = vf_load(x + v * next);
        add_outer_product(dy, input, acc);
    }
    float* sums = t.sums;
    for (int i = 0; i < t.merges; ++i) {
        sums -= block_sums;
#pragma GCC unroll 8
        for (int k = 0; k < KT; ++k)
#pragma GCC unroll 2
            for (int v = 0; v < CV; ++v) acc[k][v] = vf_load(sums + (k * 2 + v) * vf_width) + acc[k][v];
    }
    store_sums(sums, inner_width, acc);
}

// A part of a block has wgrad_channels channels, or one less where these do not divide it.
XB_INLINE auto find_multiply_pixels(bool wide, bool half) {
    constexpr int narrow = block / wgrad_parts;
    if (wide) return half ? multiply_pixels<wgrad_channels, 1> : multiply_pixels<wgrad_channels, 2>;
    return half ? multiply_pixels<narrow, 1> : multiply_pixels<narrow, 2>;
}

// Output channels k .. k+outputs-1 (whole blocks) and `tiles` tiles of input channels from c on.
struct PointwiseBlock {
    int64_t k, c;
    int32_t outputs, tiles;
};

// All tiles of a block for the pixels j0 .. j1-1 of image n.
static void multiply_chunk(const PointwiseWgradJob& job, const PointwiseBlock& b, int64_t n, int32_t j0, int32_t j1,
                           PointwiseProduct& t, float* sums) {
    t.pixels = j1 - j0;
    for (int32_t tile = 0; tile < b.tiles; ++tile) {
        const int64_t c = b.c + int64_t{tile} * inner_width;
        const bool half = vf_width == block && c + block >= job.x.c;  // the last block of an odd number of blocks
        t.x = job.x.data + n * job.x.image + c / block * job.x.plane + c % block + j0 * block;
        for (int32_t chunk = 0; chunk < b.outputs / block * wgrad_parts; ++chunk) {
            const int64_t at = wgrad_chunk_begin(chunk), k = b.k + at;
            const bool wide = wgrad_chunk_begin(chunk + 1) - at == wgrad_channels;
            t.dy = job.dy.data + n * job.dy.image + k / block * job.dy.plane + k % block + j0 * block;
            t.sums = sums + (int64_t{tile} * job.block_outputs + at) * inner_width;
            find_multiply_pixels(wide, half)(t);
        }
    }
}

static void multiply_leaf(const PointwiseWgradJob& job, const PointwiseBlock& b, int32_t leaf, float* sums) {
    const int64_t begin = job.step->leaf_begin[leaf], end = job.step->leaf_begin[leaf + 1];
    const int32_t parts = static_cast<int32_t>(div_up(job.pixels, chunk_pixels));
    PointwiseProduct t = {};
    t.x_plane = job.x.plane;
    t.first = true;
    if (begin == end) {
        t.merges = leaf_tree_merges(leaf);
        multiply_chunk(job, b, 0, 0, 0, t, sums);
    }
    for (int64_t n = begin; n < end; ++n)
        for (int32_t part = 0; part < parts; ++part) {
            t.merges = n + 1 == end && part + 1 == parts ? leaf_tree_merges(leaf) : 0;
            multiply_chunk(job, b, n, job.pixels * part / parts, job.pixels * (part + 1) / parts, t, sums);
            t.first = false;
        }
}

static void store_block(const PointwiseWgradJob& job, const PointwiseBlock& b) {
    for (int32_t at = 0; at < b.outputs && b.k + at < job.dy.c; ++at)
        for (int32_t tile = 0; tile < b.tiles; ++tile) {
            const float* sums = job.stack + (int64_t{tile} * job.block_outputs + at) * inner_width;
            for (int v = 0; v < 2; ++v) {
                const int64_t c = b.c + int64_t{tile} * inner_width + v * vf_width, left = job.x.c - c;
                float* to = job.dw + (b.k + at) * job.x.c + c;
                if (left >= vf_width)
                    vf_store(to, vf_load(sums + v * vf_width));
                else if (left > 0)
                    vf_store(to, vf_load(sums + v * vf_width), vm_first(static_cast<int>(left)));
            }
        }
}

static void wgrad_block(const PointwiseWgradJob& job, const PointwiseBlock& b) {
    int level = 0;
    for (int32_t v = 0; v < job.step->leaves; ++v) {
        multiply_leaf(job, b, v, job.stack + level * block_sums);
        level += 1 - leaf_tree_merges(v);
    }
    for (; level > 1; --level) merge_top(job.stack, block_sums, level);
    store_block(job, b);
}

// Threads share the tiles of dw, 16 output channels each; neighbouring ones are done as one block. How they are put together
// changes no sum.
static void pointwise_wgrad(const PointwiseWgradJob& job, const Team& team) {
    const int64_t rows = div_up(job.dy.c, block), columns = div_up(job.x.c, inner_width);
    const Share mine = share_of(rows * columns, team);
    for (int64_t at = mine.begin; at < mine.end;) {
        const int64_t left = mine.end - at, first = at % rows, whole = left / rows;
        const int64_t tiles = first > 0 || whole == 0 ? 1 : whole < block_tiles ? whole : block_tiles;
        const int64_t until = first + left < rows ? first + left : rows;
        for (int64_t row = first; row < until; row += job.block_outputs / block) {
            const int64_t outputs = (until - row) * block < job.block_outputs ? (until - row) * block : job.block_outputs;
            wgrad_block(job,
                        {row * block, at / rows * inner_width, static_cast<int32_t>(outputs), static_cast<int32_t>(tiles)});
        }
        at += first > 0 || whole == 0 ? until - first : tiles * rows;
    }
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
