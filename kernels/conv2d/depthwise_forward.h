// The loop of the forward pass and of dgrad of depthwise convolutions over nchw16c: each output channel has one input
// channel, so the 16 channels of a block are the lanes, and a tile of neighbouring pixels stays in registers for all taps: a
// multiply-add for each load of the input. Tiles lie along a row where no tap looks over the left or right border; the
// columns at the border are cut downwards. All pixels of a tile have the same taps, which are listed once for many tiles.
// dgrad goes over dx; with a stride each of its rows and columns takes its own phase of taps.h.
#pragma once

#include "kernels/conv2d/blocked_tile.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

constexpr int depthwise_parts = block / vf_width;                         // vectors of a pixel
constexpr int depthwise_pixels = depthwise_parts == 4 ? 3 : tile_pixels;  // 14 x 1, 6 x 2 or 3 x 4 vectors
constexpr int most_phases = 2;                                            // strides 1 and 2
constexpr int32_t depthwise_band = 448;                                   // pixels: they stay in the second-level cache

// The taps first .. last-1 of an axis.
struct TapRange {
    int32_t first, last;
};

// Where the taps of a pixel lie: floats from its place in the input and from the block's weights.
struct TapList {
    int32_t count;
    int32_t x[max_taps * max_taps], w[max_taps * max_taps];
};

// PT pixels, whose inputs lie `step` and whose outputs lie `next` floats apart.
struct DepthwisePlace {
    const float *x, *weights, *bias;
    float* y;
    int64_t step, next;
    bool relu;
};

// STEP is the place's step if not 0.
template <int PT, int STEP>
static void depthwise_tile(const TapList& taps, const DepthwisePlace& at) {
    const int64_t step = STEP ? STEP : at.step;
    VF acc[PT][depthwise_parts];
#pragma GCC unroll 16
    for (int p = 0; p < PT; ++p)
#pragma GCC unroll 4
        for (int v = 0; v < depthwise_parts; ++v) acc[p][v] = vf_load(at.bias + v * vf_width);
    for (int32_t t = 0; t < taps.count; ++t) {
        const float *x = at.x + taps.x[t], *w = at.weights + taps.w[t];
        VF filter[depthwise_parts];
#pragma GCC unroll 4
        for (int v = 0; v < depthwise_parts; ++v) filter[v] = vf_load(w + v * vf_width);
#pragma GCC unroll 16
        for (int p = 0; p < PT; ++p)
#pragma GCC unroll 4
            for (int v = 0; v < depthwise_parts; ++v)
                acc[p][v] = vf_fma(vf_load(x + p * step + v * vf_width), filter[v], acc[p][v]);
    }
    if (at.relu) {
#pragma GCC unroll 16
        for (int p = 0; p < PT; ++p)
#pragma GCC unroll 4
            for (int v = 0; v < depthwise_parts; ++v) acc[p][v] = vf_relu(acc[p][v]);
    }
#pragma GCC unroll 16
    for (int p = 0; p < PT; ++p)
#pragma GCC unroll 4
        for (int v = 0; v < depthwise_parts; ++v) vf_store(at.y + p * at.next + v * vf_width, acc[p][v]);
}

typedef void (*DepthwiseTile)(const TapList&, const DepthwisePlace&);

template <int PT>
static DepthwiseTile find_depthwise_tile(int pixels, int64_t step) {
    if constexpr (PT > 1)
        if (pixels < PT) return find_depthwise_tile<PT - 1>(pixels, step);
    return step == block       ? depthwise_tile<PT, block>
           : step == 2 * block ? depthwise_tile<PT, 2 * block>
                               : depthwise_tile<PT, 0>;
}

// `pixels` pixels from a place on, cut into equal tiles.
XB_INLINE void depthwise_run(const TapList& taps, DepthwisePlace at, int32_t pixels) {
    const int32_t tiles = static_cast<int32_t>(div_up(pixels, depthwise_pixels));
    for (int32_t t = 0; t < tiles; ++t) {
        const int32_t count = pixels * (t + 1) / tiles - pixels * t / tiles;
        find_depthwise_tile<depthwise_pixels>(count, at.step)(taps, at);
        at.x += count * at.step;
        at.y += count * at.next;
    }
}

struct DepthwiseJob {
    Blocks in, out;
    Axis rows[most_phases], columns[most_phases];  // the forward pass has one phase
    int32_t row_phases, column_phases;
    const float* weights;  // {block}{r}{s}{16}
    const float* bias;     // {block}{16}
    int32_t filter_width, filter_area;
    bool relu;
};

// The taps that read inside of the image for output i: neighbours, as their shifts ascend.
XB_INLINE TapRange taps_inside(const Axis& axis, int32_t i) {
    TapRange taps = {0, axis.taps};
    while (taps.first < taps.last && (i < axis.tap[taps.first].inside.lo || i >= axis.tap[taps.first].inside.hi))
        ++taps.first;
    while (taps.last > taps.first && (i < axis.tap[taps.last - 1].inside.lo || i >= axis.tap[taps.last - 1].inside.hi))
        --taps.last;
    return taps;
}

XB_INLINE bool same_taps(const Axis& axis, int32_t i, TapRange taps) {
    const TapRange own = taps_inside(axis, i);
    return own.first == taps.first && own.last == taps.last;
}

static void list_taps(const DepthwiseJob& job, const Axis& rows, TapRange r, const Axis& columns, TapRange s,
                      TapList& list) {
    list.count = 0;
    for (int32_t i = r.first; i < r.last; ++i)
        for (int32_t j = s.first; j < s.last; ++j) {
            list.x[list.count] = static_cast<int32_t>(rows.tap[i].shift * job.in.row + columns.tap[j].shift * block);
            list.w[list.count++] = (rows.tap[i].filter * job.filter_width + columns.tap[j].filter) * block;
        }
}

// Outputs i0 .. i1-1 x j0 .. j1-1 of a phase, which all have the taps r and s; `plane` is the place of pixel (0, 0).
static void depthwise_rectangle(const DepthwiseJob& job, const DepthwisePlace& plane, const Axis& rows, TapRange r,
                                int32_t i0, int32_t i1, const Axis& columns, TapRange s, int32_t j0, int32_t j1) {
    TapList taps;
    list_taps(job, rows, r, columns, s, taps);
    const int64_t step_h = rows.step * job.in.row, step_w = int64_t{columns.step} * block;
    const int64_t next_h = rows.out_step * job.out.row, next_w = int64_t{columns.out_step} * block;
    DepthwisePlace at = plane;
    at.x += i0 * step_h + j0 * step_w;
    at.y += rows.out_first * job.out.row + int64_t{columns.out_first} * block + i0 * next_h + j0 * next_w;
    const bool down = j1 - j0 == 1;
    at.step = down ? step_h : step_w;
    at.next = down ? next_h : next_w;
    if (down) return depthwise_run(taps, at, i1 - i0);
    for (int32_t i = i0; i < i1; ++i, at.x += step_h, at.y += next_h) depthwise_run(taps, at, j1 - j0);
}

// Rows i0 .. i1-1 of a phase, which all have the taps r: columns with the same taps together.
static void depthwise_rows_together(const DepthwiseJob& job, const DepthwisePlace& plane, const Axis& rows, TapRange r,
                                    int32_t i0, int32_t i1, const Axis& columns) {
    for (int32_t j = 0; j < columns.outputs;) {
        const TapRange s = taps_inside(columns, j);
        int32_t end = j + 1;
        while (end < columns.outputs && same_taps(columns, end, s)) ++end;
        depthwise_rectangle(job, plane, rows, r, i0, i1, columns, s, j, end);
        j = end;
    }
}

// Rows h0 .. h1-1 of the output.
static void depthwise_band_of(const DepthwiseJob& job, const DepthwisePlace& plane, int64_t h0, int64_t h1) {
    for (int32_t a = 0; a < job.row_phases; ++a) {
        const Axis& rows = job.rows[a];
        const int32_t until = static_cast<int32_t>(div_up(h1 - a, job.row_phases));
        for (int32_t i = static_cast<int32_t>(div_up(h0 - a, job.row_phases)); i < until;) {
            const TapRange r = taps_inside(rows, i);
            int32_t end = i + 1;
            while (end < until && same_taps(rows, end, r)) ++end;
            for (int32_t b = 0; b < job.column_phases; ++b)
                depthwise_rows_together(job, plane, rows, r, i, end, job.columns[b]);
            i = end;
        }
    }
}

// Threads share the rows of all blocks of all images.
static void depthwise_convolution(const DepthwiseJob& job, const Team& team) {
    const int64_t blocks = div_up(job.out.c, block), band = div_up(depthwise_band, job.out.w);
    const Share mine = share_of(job.out.n * blocks * job.out.h, team);
    for (int64_t task = mine.begin; task < mine.end;) {
        const int64_t h = task % job.out.h, b = task / job.out.h % blocks, n = task / job.out.h / blocks;
        const int64_t left = mine.end - task < band ? mine.end - task : band;
        const int64_t until = h + left < job.out.h ? h + left : job.out.h;
        const DepthwisePlace plane = {job.in.data + n * job.in.image + b * job.in.plane,
                                      job.weights + b * job.filter_area * block,
                                      job.bias + b * block,
                                      job.out.data + n * job.out.image + b * job.out.plane,
                                      0,
                                      0,
                                      job.relu};
        depthwise_band_of(job, plane, h, until);
        task += until - h;
    }
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
