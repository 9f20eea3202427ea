// The gradient of the filters by Winograd's algorithm over nchw16c, with the tiles of the forward pass: m x m pixels of dy
// against n x n of x give 3 x 3 sums. Leaf by leaf, the team transforms the inputs and gradients of a batch of tiles into
// the workspace; then each thread adds, for its share of (point, channels), the outer products of all tiles of the batch to
// the sums of the leaf, 8 input x 32 output channels in registers. At the end of a leaf the sums become a gradient of the
// filters, where the tree over the leaves goes on: partial sums of ranks are added in the same domain.
//   transformed inputs     {input block}{point}{tile}{16}
//   transformed gradients  {output block}{point}{tile}{16}
//   sums of a leaf         {chunk of input channels}{group}{point}{8}{group_width}
//   partial gradients      {level}{chunk}{group}{tap}{8}{group_width}
// A sum's terms come in ascending order of the leaf's tiles, whatever the batches and the shares: the same bits for any
// team.
#pragma once

#include "kernels/conv2d/blocked_wgrad.h"
#include "kernels/conv2d/winograd_forward.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

struct WinogradGradient {
    Blocks x, dy;
    int32_t pad_h, pad_w;
    TileGrid grid;
    int32_t batch;           // tiles transformed at a time
    int64_t chunks, groups;  // of input and output channels
    float *inputs, *gradients, *sums, *partial;
    const StepContext* step;
    float* dw;
};

constexpr int64_t wgrad_cell = int64_t{wgrad_channels} * group_width;  // floats of a point's sums in registers
constexpr int64_t sums_step =
    wgrad_cell + block;  // between points: one line more, so that they compete for no set of a cache
// Tiles transformed at a time: an odd number, so that points do not compete for the sets of a cache, and as many as keep the
// transformed tiles of a thread within about half a second-level cache.
template <class F>
XB_INLINE int32_t gradient_batch(int64_t c, int64_t k) {
    const int64_t each = F::n * F::n * (div_up(c, block) + div_up(k, block)) * block * int64_t{sizeof(float)};
    const int64_t fit = (768 << 10) / each;
    return static_cast<int32_t>(fit < 21 ? 21 : fit > 57 ? 57 : fit | 1);
}

// One point of one batch: sums[c][k] += sum over tiles of inputs[t][c] gradients[t][k].
template <int CT, int KV>
static void add_outer_products(const float* inputs, const float* gradients, int64_t gradients_block, int32_t tiles,
                               bool starts, float* sums) {
    VF acc[CT][KV];
#pragma GCC unroll 8
    for (int c = 0; c < CT; ++c)
#pragma GCC unroll 2
        for (int v = 0; v < KV; ++v) acc[c][v] = starts ? vf_zero() : vf_load(sums + c * group_width + v * vf_width);
    for (int32_t t = 0; t < tiles; ++t, inputs += block, gradients += block) {
        VF gradient[KV];
#pragma GCC unroll 2
        for (int v = 0; v < KV; ++v)
            gradient[v] = vf_load(gradients + v * vf_width / block * gradients_block + v * vf_width % block);
#pragma GCC unroll 8
        for (int c = 0; c < CT; ++c) {
            const VF input = vf_set1(inputs[c]);
#pragma GCC unroll 2
            for (int v = 0; v < KV; ++v) acc[c][v] = vf_fma(input, gradient[v], acc[c][v]);
        }
    }
#pragma GCC unroll 8
    for (int c = 0; c < CT; ++c)
#pragma GCC unroll 2
        for (int v = 0; v < KV; ++v) vf_store(sums + c * group_width + v * vf_width, acc[c][v]);
}

typedef void (*AddOuterProducts)(const float*, const float*, int64_t, int32_t, bool, float*);

template <int CT>
static AddOuterProducts find_add_outer_products(int64_t channels, int vectors) {
    if constexpr (CT == 0) {
        return nullptr;
    } else {
        if (channels < CT) return find_add_outer_products<CT - 1>(channels, vectors);
        return vectors == 1 ? add_outer_products<CT, 1> : add_outer_products<CT, 2>;
    }
}

// A block of channels of x or dy, whose tiles are transformed one after the other.
template <class F>
XB_INLINE void transform_x_block(const WinogradGradient& job, int64_t b, int64_t tile, float* to) {
    alignas(64) float copy[F::n * F::n * block];
    const TilePlace at = tile_place<F>(job.grid, tile);
    const Patch patch = patch_of<F::n>(job.x, job.x.data + at.n * job.x.image + b * job.x.plane, at.row - job.pad_h,
                                       at.column - job.pad_w, copy);
    for (int lane = 0; lane < channels_of_block(job.x.c, b); lane += vf_width)
        winograd_input<F>(patch.data + lane, patch.row, block, to + lane, int64_t{job.batch} * block);
}

template <class F>
XB_INLINE void transform_dy_block(const WinogradGradient& job, int64_t b, int64_t tile, float* to) {
    alignas(64) float copy[F::m * F::m * block];
    const TilePlace at = tile_place<F>(job.grid, tile);
    const Patch patch =
        patch_of<F::m>(job.dy, job.dy.data + at.n * job.dy.image + b * job.dy.plane, at.row, at.column, copy);
    for (int lane = 0; lane < block; lane += vf_width)
        winograd_gradient<F>(patch.data + lane, patch.row, block, to + lane, int64_t{job.batch} * block);
}

// Tiles first .. first+tiles-1 of all images; a thread takes some of the pairs (block of channels, tile).
template <class F>
static void transform_batch(const WinogradGradient& job, int64_t first, int32_t tiles, const Team& team) {
    const int64_t x_blocks = div_up(job.x.c, block), dy_blocks = div_up(job.dy.c, block);
    const int64_t block_step = F::n * F::n * int64_t{job.batch} * block;
    const Share mine = share_of(tiles * (x_blocks + dy_blocks), team);
    for (int64_t task = mine.begin; task < mine.end; ++task) {
        const int64_t b = task / tiles, t = task % tiles;
        if (b < x_blocks) {
            transform_x_block<F>(job, b, first + t, job.inputs + b * block_step + t * block);
        } else {
            const int64_t k = b - x_blocks;
            transform_dy_block<F>(job, k, first + t, job.gradients + k * block_step + t * block);
        }
    }
}

// Asks for a part of what the next batch reads: tiles first .. first+tiles-1.
template <class F>
XB_INLINE void prefetch_batch(const WinogradGradient& job, int64_t first, int64_t tiles, int64_t part, int64_t parts) {
    for (int64_t t = tiles * part / parts; t < tiles * (part + 1) / parts; ++t) {
        const TilePlace at = tile_place<F>(job.grid, first + t);
        prefetch_tile<F>(job.dy, 0, div_up(job.dy.c, block), at);
        if (at.row + F::m <= job.x.h && at.column + F::m <= job.x.w) prefetch_tile<F>(job.x, 0, div_up(job.x.c, block), at);
    }
}

template <class F>
static void add_batch(const WinogradGradient& job, int32_t tiles, bool starts, int64_t next, int64_t next_tiles,
                      const Team& team) {
    const int64_t point_step = int64_t{job.batch} * block, block_step = F::n * F::n * point_step;
    const Share mine = share_of(F::n * F::n * job.chunks, team);
    for (int64_t task = mine.begin; task < mine.end; ++task) {
        prefetch_batch<F>(job, next, next_tiles, task, F::n * F::n * job.chunks);
        const int64_t point = task / job.chunks, chunk = task % job.chunks, c = wgrad_chunk_begin(chunk);
        const int64_t channels = wgrad_chunk_channels(chunk, job.x.c);
        const float* inputs = job.inputs + c / block * block_step + point * point_step + c % block;
        for (int64_t group = 0; group < job.groups; ++group) {
            const int64_t k = group * group_width;
            find_add_outer_products<wgrad_channels>(channels, group_vectors_at(k, job.dy.c))(
                inputs, job.gradients + k / block * block_step + point * point_step + k % block, block_step, tiles, starts,
                job.sums + ((chunk * job.groups + group) * F::n * F::n + point) * sums_step);
        }
    }
}

// The sums of a leaf become the partial gradient of the topmost level; then the tree's additions. Cells: (chunk, group).
template <class F>
static void finish_leaf(const WinogradGradient& job, int32_t leaf, bool empty, int level, const Team& team) {
    const int64_t cells = job.chunks * job.groups, size = cells * 9 * wgrad_cell;
    const Share mine = share_of(cells, team);
    for (int64_t cell = mine.begin; cell < mine.end; ++cell) {
        float* to = job.partial + level * size + cell * 9 * wgrad_cell;
        if (empty) {
            clear(to, 9 * wgrad_cell);
        } else {
            for (int64_t i = 0; i < wgrad_cell; i += vf_width)
                winograd_sums<F>(job.sums + cell * F::n * F::n * sums_step + i, sums_step, to + i, wgrad_cell);
        }
    }
    int top = level + 1;
    const bool last = leaf == job.step->leaves - 1;
    for (int merges = last ? level : leaf_tree_merges(leaf); merges > 0; --merges, --top)
        for (int64_t cell = mine.begin; cell < mine.end; ++cell) {
            float* left = job.partial + (top - 2) * size + cell * 9 * wgrad_cell;
            for (int64_t i = 0; i < 9 * wgrad_cell; i += vf_width)
                vf_store(left + i, vf_load(left + i) + vf_load(left + size + i));
        }
}

// The total of this thread's cells in the canonical order.
static void write_gradient(const WinogradGradient& job, const Team& team) {
    const Share mine = share_of(job.chunks * job.groups, team);
    for (int64_t cell = mine.begin; cell < mine.end; ++cell) {
        const int64_t chunk = cell / job.groups, c = wgrad_chunk_begin(chunk), k = cell % job.groups * group_width;
        const float* from = job.partial + cell * 9 * wgrad_cell;
        for (int64_t lane = 0; lane < group_width && k + lane < job.dy.c; ++lane)
            for (int64_t i = 0; i < wgrad_chunk_channels(chunk, job.x.c); ++i)
                for (int64_t tap = 0; tap < 9; ++tap)
                    job.dw[((k + lane) * job.x.c + c + i) * 9 + tap] = from[tap * wgrad_cell + i * group_width + lane];
    }
}

template <class F>
static void winograd_wgrad(const WinogradGradient& job, const Team& team) {
    const int64_t tiles_of_image = int64_t{job.grid.high} * job.grid.wide;
    int level = 0;
    for (int32_t v = 0; v < job.step->leaves; ++v) {
        const int64_t begin = job.step->leaf_begin[v] * tiles_of_image, end = job.step->leaf_begin[v + 1] * tiles_of_image;
        for (int64_t first = begin; first < end; first += job.batch) {
            const int32_t tiles = static_cast<int32_t>(end - first < job.batch ? end - first : job.batch);
            transform_batch<F>(job, first, tiles, team);
            team.barrier();
            const int64_t next = first + tiles, left = job.x.n * tiles_of_image - next;
            add_batch<F>(job, tiles, first == begin, next, left < job.batch ? left : job.batch, team);
            team.barrier();
        }
        finish_leaf<F>(job, v, begin == end, level, team);
        level += 1 - leaf_tree_merges(v);
        team.barrier();
    }
    write_gradient(job, team);
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
