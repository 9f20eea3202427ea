// The gradient of the filters by Winograd's algorithm over nchw16c, with the tiles of the forward pass: m x m pixels of dy
// against n x n of x give 3 x 3 sums. Leaf by leaf, the inputs and gradients of a batch of tiles are transformed into the
// workspace; then the outer products of all tiles of the batch are added to the sums of the leaf, in the register tiles of
// wgrad_tile.h. At the end of a leaf the sums become a gradient of the filters, where the tree over the leaves goes on:
// partial sums of ranks are added in the same domain.
//   transformed inputs     {input block}{point}{tile}{16}
//   transformed gradients  {output block}{point}{tile}{16}
//   sums of tiles of dy    {output block}{tile}{16}, for the bias
//   sums of a leaf         {chunk of input channels}{group}{point}{wgrad_channels}{group_width}
//   partial gradients      {level or leaf}, each {chunk}{group}{tap}{wgrad_channels}{group_width}, then the bias
//                          {output block}{16}
// A sum's terms come in ascending order of the leaf's tiles, whatever the batches and the threads: the same bits for any
// team. With as many leaves as threads or more each thread takes leaves of its own, as transformed tiles that another core
// wrote cost more than the products (two threads: 1.7 times as fast); else the team shares points and channels of one leaf
// after the other.
#pragma once

#include "kernels/conv2d/direct/direct_blocked_wgrad.h"
#include "kernels/conv2d/winograd/winograd_forward.h"
#include "kernels/simd/leaf_sum.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

// What the threads that work on one leaf share.
struct LeafSpace {
    float *inputs, *gradients, *tile_sums, *sums;
};

struct WinogradGradient {
    Blocks x, dy;
    int32_t pad_h, pad_w;
    TileGrid grid;
    int32_t batch;           // tiles transformed at a time
    int64_t chunks, groups;  // of input and output channels
    LeafSpace space;
    float* partial;
    const StepContext* step;
    float *dw, *db;  // db may be null
    int64_t cells() const { return chunks * groups; }
    int64_t bias_vectors() const { return div_up(dy.c, block) * block / vf_width; }
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
    if (starts)
        clear_sums(acc);
    else
        load_sums(sums, group_width, acc);
    for (int32_t t = 0; t < tiles; ++t, inputs += block, gradients += block) {
        VF gradient[KV];
#pragma GCC unroll 2
        for (int v = 0; v < KV; ++v)
            gradient[v] = vf_load(gradients + v * vf_width / block * gradients_block + v * vf_width % block);
        add_outer_product(inputs, gradient, acc);
    }
    store_sums(sums, group_width, acc);
}

typedef void (*AddOuterProducts)(const float*, const float*, int64_t, int32_t, bool, float*);

struct OuterProducts {
    template <int CT, int KV>
    AddOuterProducts of() const {
        return add_outer_products<CT, KV>;
    }
};

// A block of channels of x or dy, whose tiles are transformed one after the other.
template <class F>
XB_INLINE void transform_x_block(const WinogradGradient& job, int64_t b, int64_t tile, float* to) {
    const TilePlace at = tile_place<F>(job.grid, tile);
    const auto window =
        window_of<F::n>(job.x, job.x.data + at.n * job.x.image + b * job.x.plane, at.row - job.pad_h, at.column - job.pad_w);
    for (int lane = 0; lane < channels_of_block(job.x.c, b); lane += vf_width)
        winograd_input<F>([&](int j, VF(&d)[F::n]) { window.load(j, lane, d); }, to + lane, int64_t{job.batch} * block);
}

// And the sum of the tile's pixels, to `sum`.
template <class F>
XB_INLINE void transform_dy_block(const WinogradGradient& job, int64_t b, int64_t tile, float* to, float* sum) {
    const TilePlace at = tile_place<F>(job.grid, tile);
    const auto window = window_of<F::m>(job.dy, job.dy.data + at.n * job.dy.image + b * job.dy.plane, at.row, at.column);
    for (int lane = 0; lane < block; lane += vf_width) {
        VF pixels = vf_zero();
        const auto load = [&](int j, VF(&d)[F::m]) {
            window.load(j, lane, d);
            VF column = d[0];
#pragma GCC unroll 4
            for (int i = 1; i < F::m; ++i) column += d[i];
            pixels += column;
        };
        winograd_gradient<F>(load, to + lane, int64_t{job.batch} * block);
        vf_store(sum + lane, pixels);
    }
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
            transform_x_block<F>(job, b, first + t, job.space.inputs + b * block_step + t * block);
        } else {
            const int64_t k = b - x_blocks;
            transform_dy_block<F>(job, k, first + t, job.space.gradients + k * block_step + t * block,
                                  job.space.tile_sums + (k * job.batch + t) * block);
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
        const float* inputs = job.space.inputs + c / block * block_step + point * point_step + c % block;
        for (int64_t group = 0; group < job.groups; ++group) {
            const int64_t k = group * group_width;
            find_products(channels, group_vectors_at(k, job.dy.c), OuterProducts{})(
                inputs, job.space.gradients + k / block * block_step + point * point_step + k % block, block_step, tiles,
                starts, job.space.sums + ((chunk * job.groups + group) * F::n * F::n + point) * sums_step);
        }
    }
}

// A cell's sums as a partial gradient.
template <class F>
XB_INLINE void end_cell(const float* sums, float* partial) {
    for (int64_t i = 0; i < wgrad_cell; i += vf_width) winograd_sums<F>(sums + i, sums_step, partial + i, wgrad_cell);
}

// Bytes of a leaf's sums that a second-level cache keeps beside the transformed tiles. With AVX2 the products take longer
// than the sums' way to the third level and back: no gain (equal to 4% slower).
constexpr int64_t kept_sums = vf_registers == 32 ? 512 << 10 : INT64_MAX;

// A leaf of one batch: one chunk of input channels after the other, whose sums become its gradients while the caches have
// them. Those of 256 to 256 channels are 9.4 MB, which add_batch writes and winograd_sums reads again.
template <class F>
static void add_by_chunks(const WinogradGradient& job, int32_t tiles, int64_t next, int64_t next_tiles, float* partial,
                          const Team& team) {
    const int64_t point_step = int64_t{job.batch} * block, block_step = F::n * F::n * point_step;
    const Share mine = share_of(job.chunks, team);
    float* const sums = job.space.sums + mine.begin * job.groups * F::n * F::n * sums_step;
    for (int64_t chunk = mine.begin; chunk < mine.end; ++chunk) {
        prefetch_batch<F>(job, next, next_tiles, chunk, job.chunks);
        const int64_t c = wgrad_chunk_begin(chunk), channels = wgrad_chunk_channels(chunk, job.x.c);
        const float* inputs = job.space.inputs + c / block * block_step + c % block;
        for (int64_t group = 0; group < job.groups; ++group) {
            const int64_t k = group * group_width;
            const float* gradients = job.space.gradients + k / block * block_step + k % block;
            const AddOuterProducts add = find_products(channels, group_vectors_at(k, job.dy.c), OuterProducts{});
            for (int64_t point = 0; point < F::n * F::n; ++point)
                add(inputs + point * point_step, gradients + point * point_step, block_step, tiles, true,
                    sums + point * sums_step);
            end_cell<F>(sums, partial + (chunk * job.groups + group) * 9 * wgrad_cell);
        }
    }
}

// Floats of a partial gradient.
XB_INLINE int64_t partial_floats(const WinogradGradient& job) {
    return job.cells() * 9 * wgrad_cell + job.bias_vectors() * vf_width;
}

// Calls body(begin, end) for the floats of a partial gradient that leaf_gradient lets this thread write.
template <class Body>
XB_INLINE void for_own_floats(const WinogradGradient& job, const Team& team, const Body& body) {
    const Share cells = share_of(job.cells(), team), bias = share_of(job.bias_vectors(), team);
    body(cells.begin * 9 * wgrad_cell, cells.end * 9 * wgrad_cell);
    const int64_t first = job.cells() * 9 * wgrad_cell;
    body(first + bias.begin * vf_width, first + bias.end * vf_width);
}

// The batch's tiles of dy to the bias' partial gradient.
XB_INLINE void add_bias_batch(const WinogradGradient& job, int32_t tiles, bool starts, float* partial, const Team& team) {
    float* bias = partial + job.cells() * 9 * wgrad_cell;
    const Share mine = share_of(job.db ? job.bias_vectors() : 0, team);
    for (int64_t v = mine.begin; v < mine.end; ++v) {
        const int64_t k = v * vf_width;
        const float* tile_sums = job.space.tile_sums + k / block * job.batch * block + k % block;
        VF sum = starts ? vf_zero() : vf_load(bias + k);
        for (int32_t t = 0; t < tiles; ++t) sum += vf_load(tile_sums + t * block);
        vf_store(bias + k, sum);
    }
}

// The sums of leaf v as a partial gradient; no barrier at the end: a thread's cells and vectors of the bias stay its own.
template <class F>
static void leaf_gradient(const WinogradGradient& job, int32_t v, float* partial, const Team& team) {
    const int64_t tiles_of_image = int64_t{job.grid.high} * job.grid.wide;
    const int64_t begin = job.step->leaf_begin[v] * tiles_of_image, end = job.step->leaf_begin[v + 1] * tiles_of_image;
    const bool by_chunks =
        end - begin <= job.batch && job.cells() * F::n * F::n * sums_step * int64_t{sizeof(float)} > kept_sums;
    for (int64_t first = begin; first < end; first += job.batch) {
        const int32_t tiles = static_cast<int32_t>(end - first < job.batch ? end - first : job.batch);
        transform_batch<F>(job, first, tiles, team);
        team.barrier();
        const int64_t next = first + tiles, left = job.x.n * tiles_of_image - next;
        if (by_chunks)
            add_by_chunks<F>(job, tiles, next, left < job.batch ? left : job.batch, partial, team);
        else
            add_batch<F>(job, tiles, first == begin, next, left < job.batch ? left : job.batch, team);
        add_bias_batch(job, tiles, first == begin, partial, team);
        team.barrier();
    }
    if (begin == end) {
        for_own_floats(job, team, [&](int64_t from, int64_t to) { clear(partial + from, to - from); });
        return;
    }
    const Share mine = share_of(by_chunks ? 0 : job.cells(), team);
    for (int64_t cell = mine.begin; cell < mine.end; ++cell)
        end_cell<F>(job.space.sums + cell * F::n * F::n * sums_step, partial + cell * 9 * wgrad_cell);
}

// The total of this thread's cells in the canonical order, and of its vectors of the bias.
static void write_gradient(const WinogradGradient& job, const Team& team) {
    const Share mine = share_of(job.cells(), team);
    for (int64_t cell = mine.begin; cell < mine.end; ++cell) {
        const int64_t chunk = cell / job.groups, c = wgrad_chunk_begin(chunk), k = cell % job.groups * group_width;
        const int64_t left = job.dy.c - k;
        const FilterPart part{k, left < group_width ? left : group_width, c, wgrad_chunk_channels(chunk, job.x.c)};
        store_filter_part(job.partial + cell * 9 * wgrad_cell, wgrad_cell, group_width, part, job.dw, job.x.c, 9);
    }
    const Share bias = share_of(job.db ? job.bias_vectors() : 0, team);
    for (int64_t k = bias.begin * vf_width; k < bias.end * vf_width && k < job.dy.c; ++k)
        job.db[k] = job.partial[job.cells() * 9 * wgrad_cell + k];
}

// The team works on one leaf after the other; the tree's partial gradients lie on a stack of levels.
template <class F>
static void share_each_leaf(const WinogradGradient& job, const Team& team) {
    const int64_t size = partial_floats(job);
    int level = 0;
    for (int32_t v = 0; v < job.step->leaves; ++v) {
        leaf_gradient<F>(job, v, job.partial + level++ * size, team);
        const bool last = v == job.step->leaves - 1;
        for (int merges = last ? level - 1 : leaf_tree_merges(v); merges > 0; --merges, --level) {
            float *left = job.partial + (level - 2) * size, *right = left + size;
            for_own_floats(job, team, [&](int64_t begin, int64_t end) { add_floats(left, right, begin, end); });
        }
        team.barrier();
    }
}

// Each thread works on leaves of its own; then the team adds their partial gradients.
template <class F>
static void share_leaves(const WinogradGradient& job, const Team& team) {
    const int64_t size = partial_floats(job);
    const Share mine = share_of(job.step->leaves, team);
    for (int64_t v = mine.begin; v < mine.end; ++v)
        leaf_gradient<F>(job, static_cast<int32_t>(v), job.partial + v * size, Team{0, 1, nullptr});
    team.barrier();
    for_own_floats(job, team, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i += vf_width) {
            const auto of_leaf = [&](int32_t v) { return vf_load(job.partial + v * size + i); };
            vf_store(job.partial + i, leaf_tree_sum<VF>(*job.step, of_leaf));
        }
    });
    team.barrier();
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
