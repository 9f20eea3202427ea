// The gradient of the filters over nchw16c with products in bf16: the outer products of direct_blocked_wgrad.h (8 input x 32
// output channels in registers, a band of rows at a time for all taps), but two neighbouring outputs of a row a
// multiply-add. Both activations are first rounded into copies of pairs along the row:
//   dy  {n}{block}{row}{pair: columns 2t, 2t+1}{16 channels}
//   x   {n}{block}{row}{column i from -stride}{16 channels}: columns i and i + stride
// A tap then finds the two inputs of any pair of outputs in one dword, whatever its shift; the price: a copy as large as x.
// Columns outside of the image are zero.
#pragma once

#include "kernels/conv2d/direct/direct_blocked_wgrad.h"
#include "kernels/simd/pairs.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

// Steps in dwords.
struct PairRows {
    uint32_t* data;
    int64_t image, plane, row;
};

struct PairWgradJob {
    PairRows x, dy;
    int64_t in_channels, out_channels, width;  // width of x
    Axis rows, columns;
    const StepContext* step;
    float* dw;    // canonical
    float* db;    // or null
    float* sums;  // this thread's stack of partial sums
};

XB_INLINE PairRows pair_rows(uint32_t* data, const Blocks& from, int64_t columns) {
    const int64_t row = columns * block, plane = from.h * row;
    return PairRows{data, div_up(from.c, block) * plane, plane, row};
}
XB_INLINE int64_t paired_inputs(const Blocks& x, int32_t stride) { return x.w + stride; }
XB_INLINE int64_t paired_gradients(const Blocks& dy) { return div_up(dy.w, 2); }

XB_INLINE VF column_or_zero(const float* row, int64_t column, int64_t width) {
    return column >= 0 && column < width ? vf_load(row + column * block) : vf_zero();
}

// Pair t of a row of `from`: columns first + t*step and that + distance.
static inline void pair_columns(const Blocks& from, const PairRows& to, int64_t count, int64_t first, int64_t step,
                                int64_t distance, const Team& team) {
    const Share mine = share_of(from.n * div_up(from.c, block) * from.h, team);
    for (int64_t row = mine.begin; row < mine.end; ++row) {
        const float* x = from.data + row * from.row;
        uint32_t* pairs = to.data + row * to.row;
        for (int64_t t = 0; t < count; ++t, pairs += block) {
            const int64_t i = first + t * step;
            pairs_store(pairs, pairs_of(column_or_zero(x, i, from.w), column_or_zero(x, i + distance, from.w)));
        }
    }
}

// The pairs of outputs of which at least one reads inside of the image through this tap.
XB_INLINE OutputRange pairs_inside(const PairWgradJob& job, int32_t shift) {
    const int32_t stride = job.columns.step, pairs = (job.columns.outputs + 1) / 2;
    const int32_t from = -stride - shift, until = static_cast<int32_t>(job.width) - shift;  // of 2 t stride
    const int32_t lo = from > 0 ? (from + 2 * stride - 1) / (2 * stride) : 0;
    int32_t hi = until > 0 ? (until + 2 * stride - 1) / (2 * stride) : 0;
    if (hi > pairs) hi = pairs;
    return OutputRange{lo, hi < lo ? lo : hi};
}

// One tap of a band: acc[c][k] += sum over rows p0 .. p1-1 of x[c] dy[k].
template <int CT, int KV>
static void pair_tap(const PairWgradJob& job, const uint32_t* x, const uint32_t* dy, int32_t row_shift, int32_t shift,
                     int32_t p0, int32_t p1, float* sums) {
    VF acc[CT][KV];
    load_sums(sums, KV * vf_width, acc);
    const OutputRange t = pairs_inside(job, shift);
    const int64_t stride = job.columns.step, x_step = 2 * stride * block;
    for (int32_t p = p0; p < p1; ++p) {
        const uint32_t* a = x + (p * job.rows.step + row_shift) * job.x.row + ((2 * t.lo + 1) * stride + shift) * block;
        const uint32_t* b = dy + p * job.dy.row + int64_t{t.lo} * block;
        for (int32_t j = t.lo; j < t.hi; ++j, a += x_step, b += block) {
            Pairs gradient[KV];
#pragma GCC unroll 2
            for (int v = 0; v < KV; ++v) gradient[v] = pairs_load(b + v * job.dy.plane);
#pragma GCC unroll 8
            for (int c = 0; c < CT; ++c) {
                const Pairs input = pairs_set1(a[c]);
#pragma GCC unroll 2
                for (int v = 0; v < KV; ++v) acc[c][v] = pairs_dot(input, gradient[v], acc[c][v]);
            }
        }
    }
    store_sums(sums, KV * vf_width, acc);
}

typedef void (*PairTap)(const PairWgradJob&, const uint32_t*, const uint32_t*, int32_t, int32_t, int32_t, int32_t, float*);

struct PairTaps {
    template <int CT, int KV>
    PairTap of() const {
        return pair_tap<CT, KV>;
    }
};

// A tile of the gradient: output channels k.., input channels c.. (within one block), all taps.
struct PairWgradTile {
    int64_t k, c;
    int channels, vectors;
    PairTap tap;
    int64_t tap_size, size;  // floats
};

XB_INLINE PairWgradTile pair_wgrad_tile_at(const PairWgradJob& job, int64_t k, int64_t c) {
    PairWgradTile tile = {};
    tile.k = k;
    tile.c = c;
    tile.channels = static_cast<int>(job.in_channels - c < wgrad_channels ? job.in_channels - c : wgrad_channels);
    tile.vectors = group_vectors_at(k, job.out_channels);
    tile.tap = find_products(tile.channels, tile.vectors, PairTaps{});
    tile.tap_size = int64_t{tile.channels} * tile.vectors * vf_width;
    tile.size = tile.tap_size * job.rows.taps * job.columns.taps;
    return tile;
}

XB_INLINE void pair_wgrad_image(const PairWgradJob& job, const PairWgradTile& tile, int64_t n, float* sums) {
    const uint32_t* x = job.x.data + n * job.x.image + tile.c / block * job.x.plane + tile.c % block;
    const uint32_t* dy = job.dy.data + n * job.dy.image + tile.k / block * job.dy.plane;
    walk_bands(job.rows, job.columns, band_pixels, tile.tap_size, sums,
               [&](int32_t r, int32_t s, int32_t from, int32_t until, float* to) {
                   tile.tap(job, x, dy, job.rows.tap[r].shift, job.columns.tap[s].shift, from, until, to);
               });
}

static void pair_wgrad_tile(const PairWgradJob& job, const PairWgradTile& tile) {
    sum_leaves(*job.step, job.sums, tile.size, [&](int64_t n, float* sums) { pair_wgrad_image(job, tile, n, sums); });
    const int64_t width = tile.vectors * vf_width, left = job.out_channels - tile.k;
    store_filter_part(job.sums, tile.tap_size, width, {tile.k, left < width ? left : width, tile.c, tile.channels}, job.dw,
                      job.in_channels, int64_t{job.rows.taps} * job.columns.taps);
}

// db of a block of output channels: pairs times ones.
static void pair_bias_tile(const PairWgradJob& job, int64_t k) {
    const Pairs ones = pairs_set1(0x3F803F80u);
    const uint32_t* first = job.dy.data + k / block * job.dy.plane;
    sum_leaves(*job.step, job.sums, block, [&](int64_t n, float* sums) {
        const uint32_t* dy = first + n * job.dy.image;
        const uint32_t* end = dy + job.dy.plane;
        VF even = vf_load(sums), odd = vf_zero();  // two chains hide half of the latency
        for (; dy + block < end; dy += 2 * block) {
            even = pairs_dot(pairs_load(dy), ones, even);
            odd = pairs_dot(pairs_load(dy + block), ones, odd);
        }
        if (dy < end) even = pairs_dot(pairs_load(dy), ones, even);
        vf_store(sums, even + odd);
    });
    const int64_t left = job.out_channels - k;
    vf_store(job.db + k, vf_load(job.sums), vm_first(left < vf_width ? static_cast<int>(left) : vf_width));
}

// Each thread takes some tiles of dw and some of db.
static inline void pair_wgrad(const PairWgradJob& job, const Team& team) {
    const int64_t blocks = div_up(job.out_channels, block), groups = div_up(blocks * block, group_width);
    const int64_t chunks = div_up(job.in_channels, wgrad_channels);
    const Share tiles = share_of(groups * chunks, team);
    for (int64_t t = tiles.begin; t < tiles.end; ++t)
        pair_wgrad_tile(job, pair_wgrad_tile_at(job, t / chunks * group_width, t % chunks * wgrad_channels));
    const Share mine = share_of(job.db ? blocks : 0, team);
    for (int64_t t = mine.begin; t < mine.end; ++t) pair_bias_tile(job, t * block);
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
