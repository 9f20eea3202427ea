// The loop of the forward pass and of dgrad over plain activations: a register tile of some neighbouring vectors of a row
// times 8 or 16 output channels. For each input channel and tap it loads the input's vectors (masked at the
// left and right border) and broadcasts one weight a channel: 16 multiply-adds for 2 + 8 loads with AVX-512 in two vectors.
#pragma once

#include "kernels/conv2d/rows/row_strips.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

template <int KT, int NV>
XB_INLINE void store_rows(const RowJob& job, const Strip& strip, VF (&acc)[KT][NV], int64_t k0, int32_t i,
                          float* out_image) {
    const int64_t y = job.rows.out_first + int64_t{i} * job.rows.out_step, step = job.columns.out_step;
    float* row = out_image + k0 * job.out.plane + y * job.out.w + job.columns.out_first + strip.first * step;
    const int32_t last = (NV - 1) * vf_width, left = clamp(job.columns.outputs - strip.first - last, 0, vf_width);
    const VM mask = vm_first(left);
    const bool whole = left == vf_width;
#pragma GCC unroll 16
    for (int k = 0; k < KT; ++k, row += job.out.plane) {
        if (k0 + k >= job.out.c) break;
        if (job.relu) {
#pragma GCC unroll 3
            for (int v = 0; v < NV; ++v) acc[k][v] = vf_relu(acc[k][v]);
        }
        if (step != 1) {
#pragma GCC unroll 3
            for (int v = 0; v < NV; ++v)
                vf_store_strided(row + v * vf_width * step, step, acc[k][v], v < NV - 1 ? vf_width : left);
            continue;
        }
#pragma GCC unroll 3
        for (int v = 0; v < NV - 1; ++v) vf_store(row + v * vf_width, acc[k][v]);
        if (whole) {
            vf_store(row + last, acc[k][NV - 1]);
        } else {
            vf_store(row + last, acc[k][NV - 1], mask);
        }
    }
}

// The sums of a tile: KT channels, NV vectors of pixels.
template <int KT, int NV>
XB_INLINE void start_from_bias(const float* bias, VF (&acc)[KT][NV]) {
#pragma GCC unroll 16
    for (int k = 0; k < KT; ++k)
#pragma GCC unroll 3
        for (int v = 0; v < NV; ++v) acc[k][v] = vf_set1(bias[k]);
}

// One input channel and tap: a weight of each channel times the pixels.
template <int KT, int NV>
XB_INLINE void add_products(const float* weights, const VF (&x)[NV], VF (&acc)[KT][NV]) {
#pragma GCC unroll 16
    for (int k = 0; k < KT; ++k) {
        const VF weight = vf_set1(weights[k]);
#pragma GCC unroll 3
        for (int v = 0; v < NV; ++v) acc[k][v] = vf_fma(weight, x[v], acc[k][v]);
    }
}

template <int KT, int NV, Border border>
static void row_tile(const RowJob& job, const Strip& strip, const float* image, const float* w, int64_t k0, int32_t i,
                     float* out_image) {
    VF acc[KT][NV];
    start_from_bias(job.bias + k0, acc);
    const Axis &rows = job.rows, &columns = job.columns;
    for (int64_t c = 0; c < job.in.c; ++c, image += job.in.plane)
        for (int32_t r = 0; r < rows.taps; ++r) {
            const int32_t y = i * rows.step + rows.tap[r].shift;
            if (y < 0 || y >= rows.inputs) {
                w += int64_t{columns.taps} * KT;
                continue;
            }
            const float* row = image + int64_t{y} * job.in.w;
            for (int32_t s = 0; s < columns.taps; ++s, w += KT) {
                VF x[NV];
#pragma GCC unroll 3
                for (int v = 0; v < NV; ++v) x[v] = load_input<border>(columns, strip_input(columns, strip, s, v), row);
                add_products(w, x, acc);
            }
        }
    store_rows<KT, NV>(job, strip, acc, k0, i, out_image);
}

typedef void (*RowTile)(const RowJob&, const Strip&, const float*, const float*, int64_t, int32_t, float*);

template <int KT, int NV>
static RowTile row_tile_for(const RowJob& job, const Strip& strip) {
    if (job.columns.step != 1) return row_tile<KT, NV, Border::strided>;
    return strip.full ? row_tile<KT, NV, Border::none> : row_tile<KT, NV, Border::masked>;
}

static RowTile find_row_tile(const RowJob& job, const Strip& strip) {
    if (job.group != row_group) return row_tile_for<narrow_group, 1>(job, strip);
    if (strip.vectors == 1) return row_tile_for<row_group, 1>(job, strip);
    return strip.vectors == 2 ? row_tile_for<row_group, 2>(job, strip) : row_tile_for<row_group, 3>(job, strip);
}

// Rows i0 .. i1-1 by 3x3 taps that read rows and columns next to each other, all rows inside of the image: the same sums in
// the same order, without the loops over taps. Only the vectors at a border are masked.
template <int KT, int NV, bool left, bool right>
static void row_tiles_3x3(const RowJob& job, const Strip& strip, const float* image, const float* weights, int64_t k0,
                          int32_t i0, int32_t i1, float* out_image) {
    const int64_t width = job.in.w;
    const float* first = image + (int64_t{i0} + job.rows.tap[0].shift) * width + strip.first + job.columns.tap[0].shift;
    for (int32_t i = i0; i < i1; ++i, first += width) {
        VF acc[KT][NV];
        start_from_bias(job.bias + k0, acc);
        const float* plane = first;
        const float* w = weights;
        for (int64_t c = 0; c < job.in.c; ++c, plane += job.in.plane) {
            const float* row = plane;
#pragma GCC unroll 3
            for (int r = 0; r < 3; ++r, row += width)
#pragma GCC unroll 3
                for (int s = 0; s < 3; ++s, w += KT) {
                    VF x[NV];
#pragma GCC unroll 3
                    for (int v = 0; v < NV; ++v) {
                        const float* at = row + s + v * vf_width;
                        x[v] = (left && v == 0) || (right && v == NV - 1) ? vf_load(at, strip.mask[s][v]) : vf_load(at);
                    }
                    add_products(w, x, acc);
                }
        }
        store_rows<KT, NV>(job, strip, acc, k0, i, out_image);
    }
}

typedef void (*RowTiles)(const RowJob&, const Strip&, const float*, const float*, int64_t, int32_t, int32_t, float*);

template <int KT, int NV>
static RowTiles row_tiles_3x3_for(const RowJob& job, const Strip& strip) {
    const bool left = strip.first + job.columns.tap[0].shift < 0;
    const int32_t last = strip.first + NV * vf_width;
    const bool right = last > job.columns.outputs || last - 1 + job.columns.tap[2].shift >= job.columns.inputs;
    if (left) return right ? row_tiles_3x3<KT, NV, true, true> : row_tiles_3x3<KT, NV, true, false>;
    return right ? row_tiles_3x3<KT, NV, false, true> : row_tiles_3x3<KT, NV, false, false>;
}

static RowTiles find_row_tiles_3x3(const RowJob& job, const Strip& strip) {
    if (job.group != row_group) return row_tiles_3x3_for<narrow_group, 1>(job, strip);
    if (strip.vectors == 1) return row_tiles_3x3_for<row_group, 1>(job, strip);
    return strip.vectors == 2 ? row_tiles_3x3_for<row_group, 2>(job, strip) : row_tiles_3x3_for<row_group, 3>(job, strip);
}

XB_INLINE bool next_to_each_other(const Axis& axis) {
    return axis.taps == 3 && axis.step == 1 && axis.out_step == 1 && axis.tap[1].shift == axis.tap[0].shift + 1 &&
           axis.tap[2].shift == axis.tap[1].shift + 1;
}

// Only the first and the last vector of a row are masked: so no other may reach beyond the image, to the left by its padding
// (a vector's width at most), nor to the right, where the last vector may have a single output.
XB_INLINE bool is_3x3(const RowJob& job) {
    const int32_t before = -job.columns.tap[0].shift,
                  behind = job.columns.outputs - 1 + job.columns.tap[2].shift - (job.columns.inputs - 1);
    return next_to_each_other(job.rows) && next_to_each_other(job.columns) && before <= vf_width && behind <= 1;
}

// How a job's output rows are cut, the same for all images and channels.
struct RowCuts {
    int32_t vectors, strips;  // of a row
    int32_t inner0, inner1;   // rows that row_tiles_3x3 computes
};

XB_INLINE RowCuts row_cuts(const RowJob& job) {
    RowCuts cuts;
    cuts.vectors = static_cast<int32_t>(div_up(job.columns.outputs, vf_width));
    cuts.strips = static_cast<int32_t>(div_up(cuts.vectors, row_vectors));
    const bool by_3x3 = is_3x3(job);  // rows that read no row beyond the image
    cuts.inner0 = by_3x3 ? -job.rows.tap[0].shift : 0;
    cuts.inner1 = by_3x3 ? job.rows.inputs - job.rows.tap[2].shift : 0;
    return cuts;
}

// Rows p0 .. p1-1 of image n and a group of channels.
static void row_band(const RowJob& job, const RowCuts& cuts, int64_t n, int64_t group, int32_t p0, int32_t p1) {
    const int64_t group_size = job.in.c * job.rows.taps * job.columns.taps * job.group;
    const float *image = job.in.data + n * job.in.image, *weights = job.weights + group * group_size;
    float* out_image = job.out.data + n * job.out.image;
    const int32_t i0 = clamp(cuts.inner0, p0, p1), i1 = clamp(cuts.inner1, i0, p1);
    for (int32_t t = 0; t < cuts.strips; ++t) {
        const int32_t first = cuts.vectors * t / cuts.strips, last = cuts.vectors * (t + 1) / cuts.strips;
        const Strip strip = strip_at(job.columns, first * vf_width, last - first);
        const RowTile tile = find_row_tile(job, strip);
        for (int32_t p = p0; p < i0; ++p) tile(job, strip, image, weights, group * job.group, p, out_image);
        if (i0 < i1) find_row_tiles_3x3(job, strip)(job, strip, image, weights, group * job.group, i0, i1, out_image);
        for (int32_t p = i1; p < p1; ++p) tile(job, strip, image, weights, group * job.group, p, out_image);
    }
}

XB_INLINE int32_t band_end(const RowJob& job, int32_t p0) {
    return p0 + rows_a_task < job.rows.outputs ? p0 + rows_a_task : job.rows.outputs;
}

static void row_convolution(const RowJob& job, const Team& team) {
    const RowCuts cuts = row_cuts(job);
    const int64_t groups = div_up(job.out.c, job.group), bands = div_up(job.rows.outputs, rows_a_task);
    const Share mine = share_of(job.in.n * groups * bands, team);
    for (int64_t task = mine.begin; task < mine.end; ++task) {
        const int32_t p0 = static_cast<int32_t>(task % bands) * rows_a_task;
        row_band(job, cuts, task / bands / groups, task / bands % groups, p0, band_end(job, p0));
    }
}

// Packs one output channel after another as row_tile reads them; channels past the last are zero.
static void pack_row_filters(const FilterView& w, const RowJob& job, float* packed, const Team& team) {
    const int64_t taps = int64_t{job.rows.taps} * job.columns.taps, group_size = w.ins * taps * job.group;
    const Share mine = share_of(div_up(w.outs, job.group) * job.group, team);
    for (int64_t k = mine.begin; k < mine.end; ++k) {
        float* to = packed + k / job.group * group_size + k % job.group;
        for (int64_t c = 0; c < w.ins; ++c) {
            const float* filter = w.data + k * w.out_step + c * w.in_step;
            for (int32_t r = 0; r < job.rows.taps; ++r)
                for (int32_t s = 0; s < job.columns.taps; ++s, to += job.group)
                    *to = k < w.outs ? filter[job.rows.tap[r].filter * w.s + job.columns.tap[s].filter] : 0.0f;
        }
    }
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
