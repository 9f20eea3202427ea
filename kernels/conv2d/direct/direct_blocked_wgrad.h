// The gradient of the filters over nchw16c: for one group of output channels, up to wgrad_channels input channels and all
// taps, outer products of a pixel's dy (vectors) and x (broadcasts) into registers (wgrad_tile.h). A band of rows that fits
// the first-level cache is read once for all taps; between bands a tap's sums wait in the thread's workspace, where the tree
// over the leaves is evaluated as well: no copy of the gradient for each leaf.
#pragma once

#include "kernels/conv2d/bias_wgrad.h"
#include "kernels/conv2d/wgrad_tile.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

constexpr int wgrad_band = 128;

struct WgradJob {
    Blocks x, dy;
    Axis rows, columns;
    const StepContext* step;
    float* dw;         // canonical
    float* db;         // or null
    float* sums;       // this thread's stack of partial sums
    float* rows_copy;  // a stem's input rows, of this thread
};

// One tap of a band: acc[c][k] += sum over rows p0 .. p1-1 of x[c] dy[k].
template <int CT, int KV>
static void wgrad_tap(const WgradJob& job, const float* x, const float* dy, int32_t row_shift, const Tap& column, int32_t p0,
                      int32_t p1, float* sums) {
    VF acc[CT][KV];
    load_sums(sums, KV * vf_width, acc);
    const OutputRange q = column.inside;
    const int64_t x_step = int64_t{job.columns.step} * block;
    const int64_t next_block = vf_width == block ? job.dy.plane : vf_width;
    for (int32_t p = p0; p < p1; ++p) {
        const float* a =
            x + (p * job.rows.step + row_shift) * job.x.row + (int64_t{q.lo} * job.columns.step + column.shift) * block;
        const float* b = dy + p * job.dy.row + int64_t{q.lo} * block;
        for (int32_t j = q.lo; j < q.hi; ++j, a += x_step, b += block) {
            VF gradient[KV];
#pragma GCC unroll 2
            for (int v = 0; v < KV; ++v) gradient[v] = vf_load(b + v * next_block);
            add_outer_product(a, gradient, acc);
        }
    }
    store_sums(sums, KV * vf_width, acc);
}

typedef void (*WgradTap)(const WgradJob&, const float*, const float*, int32_t, const Tap&, int32_t, int32_t, float*);

struct WgradTaps {
    template <int CT, int KV>
    WgradTap of() const {
        return wgrad_tap<CT, KV>;
    }
};

// A tile of the gradient: output channels k.., input channels c.. (within one block), all taps.
struct WgradTile {
    int64_t k, c;
    int channels, vectors;
    WgradTap tap;
    int64_t tap_size, size;  // floats
};

XB_INLINE void wgrad_image(const WgradJob& job, const WgradTile& tile, int64_t n, float* sums) {
    const float* x = job.x.data + n * job.x.image + tile.c / block * job.x.plane + tile.c % block;
    const float* dy = job.dy.data + n * job.dy.image + tile.k / block * job.dy.plane + tile.k % block;
    walk_bands(job.rows, job.columns, wgrad_band, tile.tap_size, sums,
               [&](int32_t r, int32_t s, int32_t from, int32_t until, float* to) {
                   tile.tap(job, x, dy, job.rows.tap[r].shift, job.columns.tap[s], from, until, to);
               });
}

// Writes the sums {tap}{channel}{output channel} of a tile to the canonical dw.
static void store_wgrad_tile(const WgradJob& job, const WgradTile& tile, int64_t taps) {
    const int64_t run = tile.channels * taps;  // floats that lie side by side in dw
    for (int v = 0; v < tile.vectors; ++v) {
        const int64_t k = tile.k + v * vf_width, left = job.dy.c - k;
        float* to = job.dw + (k * job.x.c + tile.c) * taps;
        for (int64_t j = 0; j < run; j += vf_width) {
            VF square[vf_width];
#pragma GCC unroll 16
            for (int64_t i = 0; i < vf_width; ++i) {
                const int64_t at = j + i < run ? j + i : run - 1;
                square[i] = vf_load(job.sums + at % taps * tile.tap_size + (at / taps * tile.vectors + v) * vf_width);
            }
            vf_transpose(square);
            const VM mask = vm_first(run - j < vf_width ? static_cast<int>(run - j) : vf_width);
#pragma GCC unroll 16
            for (int64_t lane = 0; lane < vf_width; ++lane)
                if (lane < left) vf_store(to + lane * job.x.c * taps + j, square[lane], mask);
        }
    }
}

static void wgrad_tile(const WgradJob& job, const WgradTile& tile) {
    sum_leaves(*job.step, job.sums, tile.size, [&](int64_t n, float* sums) { wgrad_image(job, tile, n, sums); });
    store_wgrad_tile(job, tile, int64_t{job.rows.taps} * job.columns.taps);
}

XB_INLINE WgradTile wgrad_tile_at(const WgradJob& job, int64_t k, int64_t chunk) {
    WgradTile tile = {};
    tile.k = k;
    tile.c = wgrad_chunk_begin(chunk);
    tile.channels = static_cast<int>(wgrad_chunk_channels(chunk, job.x.c));
    tile.vectors = group_vectors_at(k, job.dy.c);
    tile.tap = find_products(tile.channels, tile.vectors, WgradTaps{});
    tile.tap_size = int64_t{tile.channels} * tile.vectors * vf_width;
    tile.size = tile.tap_size * job.rows.taps * job.columns.taps;
    return tile;
}

// Each thread takes some tiles of dw and some of db.
static inline void blocked_wgrad(const WgradJob& job, const Team& team) {
    const int64_t k_padded = div_up(job.dy.c, block) * block, groups = div_up(k_padded, group_width);
    const int64_t chunks = wgrad_chunks(job.x.c);
    const Share tiles = share_of(groups * chunks, team);
    for (int64_t t = tiles.begin; t < tiles.end; ++t)
        wgrad_tile(job, wgrad_tile_at(job, t / chunks * group_width, t % chunks));
    bias_wgrad(job.dy, *job.step, job.db, team);
}

XB_INLINE int64_t blocked_wgrad_sums(const Conv2d& conv) { return int64_t{wgrad_channels} * group_width * conv.r * conv.s; }

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
