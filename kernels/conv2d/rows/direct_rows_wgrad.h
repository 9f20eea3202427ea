// The gradient of the filters over plain activations: for up to wgrad_group output channels, one input channel, one filter
// row and up to 3 filter columns, vectors of dy times shifted vectors of x: 24 multiply-adds for 8 + 3 loads with AVX-512.
// A leaf's sums are added across the lanes once, at its end; the tree over the leaves then works on scalars.
#pragma once

#include "kernels/conv2d/rows/direct_rows_forward.h"
#include "kernels/simd/leaf_sum.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

constexpr int wgrad_group = vf_registers == 32 ? 8 : 4;  // output channels of a tile
constexpr int wgrad_taps = 3;                            // filter columns of a tile

struct RowWgradJob {
    RowPlanes x, dy;
    Axis rows, columns;
    const StepContext* step;
    float* dw;  // canonical
    float* db;  // or null
};

// A tile of the gradient: dw[k ..][c][r][s ..].
struct RowWgradTile {
    int64_t k, c;
    int32_t r, s;
    int channels, taps;
};

// Adds one image's part for the columns of `strip` to acc. whole: the strip lies inside of dy.
template <int KT, int ST, Border border, bool whole>
XB_INLINE void wgrad_strip(const RowWgradJob& job, const RowWgradTile& tile, const Strip& strip, int64_t n,
                           VF (&acc)[KT][ST]) {
    const int32_t shift = job.rows.tap[tile.r].shift;
    const OutputRange p = job.rows.tap[tile.r].inside;
    const int64_t column = strip.first;
    const int32_t left = clamp(job.columns.outputs - strip.first, 0, vf_width);
    const VM inside = vm_first(left);
    const float* dy = job.dy.data + n * job.dy.image + tile.k * job.dy.plane + p.lo * job.dy.w + column;
    const float* x = job.x.data + n * job.x.image + tile.c * job.x.plane + (p.lo * job.rows.step + shift) * job.x.w;
    StripInput input_of[ST];
#pragma GCC unroll 3
    for (int s = 0; s < ST; ++s) input_of[s] = strip_input(job.columns, strip, tile.s + s, 0);
    for (int32_t i = p.lo; i < p.hi; ++i, dy += job.dy.w, x += job.rows.step * job.x.w) {
        VF input[ST];
#pragma GCC unroll 3
        for (int s = 0; s < ST; ++s) input[s] = load_input<border>(job.columns, input_of[s], x);
#pragma GCC unroll 8
        for (int k = 0; k < KT; ++k) {
            const float* at = dy + k * job.dy.plane;
            const VF gradient = vf_keep(whole ? vf_load(at) : vf_load(at, inside));
#pragma GCC unroll 3
            for (int s = 0; s < ST; ++s) acc[k][s] = vf_fma(gradient, input[s], acc[k][s]);
        }
    }
}

template <int KT, int ST>
XB_INLINE void wgrad_leaf(const RowWgradJob& job, const RowWgradTile& tile, int64_t first, int64_t last, float* sums) {
    VF acc[KT][ST];
#pragma GCC unroll 8
    for (int k = 0; k < KT; ++k)
#pragma GCC unroll 3
        for (int s = 0; s < ST; ++s) acc[k][s] = vf_zero();
    for (int32_t column = 0; column < job.columns.outputs; column += vf_width) {
        const Strip strip = strip_at(job.columns, column, 1);
        for (int64_t n = first; n < last; ++n) {
            if (job.columns.step != 1) {
                wgrad_strip<KT, ST, Border::strided, false>(job, tile, strip, n, acc);
            } else if (strip.full) {
                wgrad_strip<KT, ST, Border::none, true>(job, tile, strip, n, acc);
            } else if (column + vf_width <= job.columns.outputs) {
                wgrad_strip<KT, ST, Border::masked, true>(job, tile, strip, n, acc);
            } else {
                wgrad_strip<KT, ST, Border::masked, false>(job, tile, strip, n, acc);
            }
        }
    }
#pragma GCC unroll 8
    for (int k = 0; k < KT; ++k)
#pragma GCC unroll 3
        for (int s = 0; s < ST; ++s) sums[k * ST + s] = vf_sum(acc[k][s]);
}

template <int size>
struct RowWgradSums {
    float of[size];
    __attribute__((always_inline)) void operator+=(const RowWgradSums& right) {
        for (int i = 0; i < size; ++i) of[i] += right.of[i];
    }
};

template <int KT, int ST>
static void row_wgrad_tile(const RowWgradJob& job, const RowWgradTile& tile) {
    const auto total = leaf_tree_sum<RowWgradSums<KT * ST>>(*job.step, [&](int32_t v) {
        RowWgradSums<KT * ST> sums;
        wgrad_leaf<KT, ST>(job, tile, job.step->leaf_begin[v], job.step->leaf_begin[v + 1], sums.of);
        return sums;
    });
    const int64_t width = job.columns.taps, area = job.rows.taps * width;
    for (int k = 0; k < KT; ++k)
        for (int s = 0; s < ST; ++s)
            job.dw[((tile.k + k) * job.x.c + tile.c) * area + tile.r * width + tile.s + s] = total.of[k * ST + s];
}

typedef void (*RowWgrad)(const RowWgradJob&, const RowWgradTile&);

template <int KT>
static RowWgrad find_row_wgrad(int channels, int taps) {
    if constexpr (KT == 0) {
        return nullptr;
    } else {
        if (channels < KT) return find_row_wgrad<KT - 1>(channels, taps);
        if (taps == 1) return row_wgrad_tile<KT, 1>;
        return taps == 2 ? row_wgrad_tile<KT, 2> : row_wgrad_tile<KT, 3>;
    }
}

static void row_bias_gradient(const RowWgradJob& job, int64_t k) {
    job.db[k] = leaf_tree_sum<float>(*job.step, [&](int32_t v) {
        VF even = vf_zero(), odd = vf_zero();  // two chains hide the latency of the addition
        for (int64_t n = job.step->leaf_begin[v]; n < job.step->leaf_begin[v + 1]; ++n) {
            const float* dy = job.dy.data + n * job.dy.image + k * job.dy.plane;
            int64_t i = 0;
            for (; i + 2 * vf_width <= job.dy.plane; i += 2 * vf_width) {
                even += vf_load(dy + i);
                odd += vf_load(dy + i + vf_width);
            }
            for (; i < job.dy.plane; i += vf_width)
                even +=
                    vf_load(dy + i, vm_first(static_cast<int>(job.dy.plane - i < vf_width ? job.dy.plane - i : vf_width)));
        }
        return vf_sum(even + odd);
    });
}

static void row_wgrad(const RowWgradJob& job, const Team& team) {
    const int64_t groups = div_up(job.dy.c, wgrad_group), parts = div_up(job.columns.taps, wgrad_taps);
    const int64_t tiles = groups * job.x.c * job.rows.taps * parts, bias_tiles = job.db ? job.dy.c : 0;
    const Share mine = share_of(tiles + bias_tiles, team);
    for (int64_t task = mine.begin; task < mine.end; ++task) {
        if (task >= tiles) {
            row_bias_gradient(job, task - tiles);
            continue;
        }
        RowWgradTile tile;
        tile.s = static_cast<int32_t>(task % parts) * wgrad_taps;
        tile.r = static_cast<int32_t>(task / parts % job.rows.taps);
        tile.c = task / parts / job.rows.taps % job.x.c;
        tile.k = task / parts / job.rows.taps / job.x.c * wgrad_group;
        tile.channels = static_cast<int>(job.dy.c - tile.k < wgrad_group ? job.dy.c - tile.k : wgrad_group);
        tile.taps = job.columns.taps - tile.s < wgrad_taps ? job.columns.taps - tile.s : wgrad_taps;
        find_row_wgrad<wgrad_group>(tile.channels, tile.taps)(job, tile);
    }
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
