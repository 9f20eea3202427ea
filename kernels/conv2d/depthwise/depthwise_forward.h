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

constexpr int depthwise_parts = block / vf_width;                  // vectors of a pixel
constexpr int depthwise_pixels = tile_pixels_of(depthwise_parts);  // 14 x 1, 6 x 2 or 3 x 4 vectors
constexpr int most_phases = 2;                                     // strides 1 and 2
constexpr int32_t depthwise_band = 448;                            // pixels: they stay in the second-level cache

// The taps first .. last-1 of an axis, and the neighbouring outputs that have just these inside of the image.
struct TapRange {
    int32_t first, last;
};
struct TapRun {
    int32_t begin, end;
    TapRange taps;
};

// An axis cut into runs, and where each tap lies: floats from the pixel's place in the input and from the block's weights.
struct DepthwiseAxis {
    Axis axis;
    int32_t x[max_taps], w[max_taps];
    int32_t runs;
    TapRun run[2 * max_taps + 1];  // a tap begins or ends between two runs
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

// x_step, w_step: floats between neighbouring inputs and filters.
static DepthwiseAxis depthwise_axis(const Axis& axis, int64_t x_step, int32_t w_step) {
    DepthwiseAxis result = {};
    result.axis = axis;
    for (int32_t t = 0; t < axis.taps; ++t) {
        result.x[t] = static_cast<int32_t>(axis.tap[t].shift * x_step);
        result.w[t] = axis.tap[t].filter * w_step;
    }
    for (int32_t i = 0; i < axis.outputs; ++i) {
        const TapRange taps = taps_inside(axis, i);
        const TapRun* last = result.run + result.runs - 1;
        if (i == 0 || last->taps.first != taps.first || last->taps.last != taps.last)
            result.run[result.runs++] = {i, i, taps};
        result.run[result.runs - 1].end = i + 1;
    }
    return result;
}

// PT pixels with the same taps, whose inputs lie `step` and whose outputs lie `next` floats apart.
struct DepthwisePlace {
    const DepthwiseAxis *rows, *columns;
    TapRange r, s;
    const float *x, *weights, *bias;
    float* y;
    int64_t step, next;
    bool relu;
};

// STEP is the place's step if not 0.
template <int PT, int STEP>
static void depthwise_tile(const DepthwisePlace& at) {
    const int64_t step = STEP ? STEP : at.step;
    VF acc[PT][depthwise_parts];
#pragma GCC unroll 16
    for (int p = 0; p < PT; ++p)
#pragma GCC unroll 4
        for (int v = 0; v < depthwise_parts; ++v) acc[p][v] = vf_load(at.bias + v * vf_width);
    for (int32_t r = at.r.first; r < at.r.last; ++r) {
        const float *x_row = at.x + at.rows->x[r], *w_row = at.weights + at.rows->w[r];
        for (int32_t s = at.s.first; s < at.s.last; ++s) {
            const float *x = x_row + at.columns->x[s], *w = w_row + at.columns->w[s];
            VF filter[depthwise_parts];
#pragma GCC unroll 4
            for (int v = 0; v < depthwise_parts; ++v) filter[v] = vf_load(w + v * vf_width);
#pragma GCC unroll 16
            for (int p = 0; p < PT; ++p)
#pragma GCC unroll 4
                for (int v = 0; v < depthwise_parts; ++v)
                    acc[p][v] = vf_fma(vf_load(x + p * step + v * vf_width), filter[v], acc[p][v]);
        }
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

typedef void (*DepthwiseTile)(const DepthwisePlace&);

template <int PT>
static DepthwiseTile find_depthwise_tile(int pixels, int64_t step) {
    if constexpr (PT > 1)
        if (pixels < PT) return find_depthwise_tile<PT - 1>(pixels, step);
    return step == block       ? depthwise_tile<PT, block>
           : step == 2 * block ? depthwise_tile<PT, 2 * block>
                               : depthwise_tile<PT, 0>;
}

// `pixels` pixels from a place on, cut into equal tiles.
XB_INLINE void depthwise_run(DepthwisePlace at, int32_t pixels) {
    const int32_t tiles = static_cast<int32_t>(div_up(pixels, depthwise_pixels));
    for (int32_t t = 0; t < tiles; ++t) {
        const int32_t count = pixels * (t + 1) / tiles - pixels * t / tiles;
        find_depthwise_tile<depthwise_pixels>(count, at.step)(at);
        at.x += count * at.step;
        at.y += count * at.next;
    }
}

struct DepthwiseJob {
    Blocks in, out;
    DepthwiseAxis rows[most_phases], columns[most_phases];  // the forward pass has one phase
    int32_t row_phases, column_phases;
    const float* weights;  // {block}{r}{s}{16}
    const float* bias;     // {block}{16}
    int32_t filter_area;
    bool relu;
};

// Outputs i0 .. i1-1 of the columns of one run; `at` is the place of pixel (0, 0). A run of one column is cut downwards.
static void depthwise_rectangle(const DepthwiseJob& job, DepthwisePlace at, int32_t i0, int32_t i1, const TapRun& columns) {
    const Axis &vertical = at.rows->axis, &horizontal = at.columns->axis;
    const int64_t step_h = vertical.step * job.in.row, step_w = int64_t{horizontal.step} * block;
    const int64_t next_h = vertical.out_step * job.out.row, next_w = int64_t{horizontal.out_step} * block;
    at.s = columns.taps;
    at.x += i0 * step_h + columns.begin * step_w;
    at.y += vertical.out_first * job.out.row + int64_t{horizontal.out_first} * block + i0 * next_h + columns.begin * next_w;
    const int32_t width = columns.end - columns.begin;
    at.step = width == 1 ? step_h : step_w;
    at.next = width == 1 ? next_h : next_w;
    if (width == 1) return depthwise_run(at, i1 - i0);
    for (int32_t i = i0; i < i1; ++i, at.x += step_h, at.y += next_h) depthwise_run(at, width);
}

// Rows h0 .. h1-1 of the output: what of each phase and run lies in them.
static void depthwise_rows_of(const DepthwiseJob& job, DepthwisePlace at, int64_t h0, int64_t h1) {
    for (int32_t a = 0; a < job.row_phases; ++a) {
        at.rows = &job.rows[a];
        const int32_t first = static_cast<int32_t>(div_up(h0 - a, job.row_phases));
        const int32_t last = static_cast<int32_t>(div_up(h1 - a, job.row_phases));
        for (int32_t i = 0; i < at.rows->runs; ++i) {
            const TapRun& run = at.rows->run[i];
            const int32_t i0 = run.begin > first ? run.begin : first, i1 = run.end < last ? run.end : last;
            at.r = run.taps;
            for (int32_t b = 0; b < job.column_phases && i0 < i1; ++b) {
                at.columns = &job.columns[b];
                for (int32_t j = 0; j < at.columns->runs; ++j) depthwise_rectangle(job, at, i0, i1, at.columns->run[j]);
            }
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
        DepthwisePlace plane = {};
        plane.x = job.in.data + n * job.in.image + b * job.in.plane;
        plane.y = job.out.data + n * job.out.image + b * job.out.plane;
        plane.weights = job.weights + b * job.filter_area * block;
        plane.bias = job.bias + b * block;
        plane.relu = job.relu;
        depthwise_rows_of(job, plane, h, until);
        task += until - h;
    }
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
