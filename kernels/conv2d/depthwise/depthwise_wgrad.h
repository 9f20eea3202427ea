// The gradient of depthwise filters over nchw16c: the sums of a tile of neighbouring taps (3x3, or 2 rows of 5) stay in
// registers while a band of rows of dy passes, a multiply-add for each load of x; a band lies in the first-level cache for
// the other taps and lanes. A tap that looks over a border reads zeros there. A thread takes a block of channels of one
// leaf; the leaves' sums, few numbers, wait in the workspace until all are there and are then added in the tree.
#pragma once

#include "kernels/conv2d/bias_wgrad.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

constexpr int tile_taps = 5;  // most rows and most columns of a tile of taps
constexpr int tile_sums = vf_registers == 32 ? 25 : 12;
constexpr int wgrad_pixels = 128;  // pixels

struct DepthwiseWgradJob {
    Blocks x, dy;
    Axis rows, columns;
    int32_t dilation;  // of the columns
    const StepContext* step;
    float* dw;           // canonical
    float* sums;         // {leaf}{block}{tap}{16}
    const float* zeros;  // a row of x
};

// Rows p0 .. p1-1 of dy and the taps from (r0, s0) on; x and dy begin at the lanes in question.
struct DepthwiseBand {
    const float *x, *dy;
    int32_t p0, p1, r0, s0;
    float* sums;  // of the first tap, those of a filter row lie `taps` x 16 floats apart
};

// Columns q0 .. q1-1 of a row, some of whose taps look over the border.
template <int RT, int ST>
XB_INLINE void depthwise_border(const DepthwiseWgradJob& job, const Tap* tap, const float* const (&row)[RT], const float* dy,
                                int32_t q0, int32_t q1, VF (&acc)[RT][ST]) {
    for (int32_t q = q0; q < q1; ++q) {
        const VF gradient = vf_load(dy + q * block);
#pragma GCC unroll 5
        for (int s = 0; s < ST; ++s) {
            const bool inside = q >= tap[s].inside.lo && q < tap[s].inside.hi;
            const int64_t at = (int64_t{q} * job.columns.step + tap[s].shift) * block;
#pragma GCC unroll 5
            for (int r = 0; r < RT; ++r) acc[r][s] = vf_fma(vf_load(inside ? row[r] + at : job.zeros), gradient, acc[r][s]);
        }
    }
}

// Columns q0 .. q1-1 of a row, all of whose taps are inside; x: what the first of them reads. DILATION 0: known when it
// runs.
template <int RT, int ST, int DILATION>
XB_INLINE void depthwise_inside(const DepthwiseWgradJob& job, const float* (&x)[RT], const float* dy, int32_t q0, int32_t q1,
                                VF (&acc)[RT][ST]) {
    const int64_t step = int64_t{job.columns.step} * block, next = int64_t{DILATION ? DILATION : job.dilation} * block;
    for (int32_t q = q0; q < q1; ++q) {
        const VF gradient = vf_load(dy + q * block);
#pragma GCC unroll 5
        for (int r = 0; r < RT; ++r) {
#pragma GCC unroll 5
            for (int s = 0; s < ST; ++s) acc[r][s] = vf_fma(vf_load(x[r] + s * next), gradient, acc[r][s]);
            x[r] += step;
        }
    }
}

template <int RT, int ST, int DILATION>
static void depthwise_taps(const DepthwiseWgradJob& job, const DepthwiseBand& band) {
    const int64_t sums_row = int64_t{job.columns.taps} * block;
    VF acc[RT][ST];
#pragma GCC unroll 5
    for (int r = 0; r < RT; ++r)
#pragma GCC unroll 5
        for (int s = 0; s < ST; ++s) acc[r][s] = vf_load(band.sums + r * sums_row + s * block);
    const Tap* tap = job.columns.tap + band.s0;
    OutputRange whole = {tap[0].inside.lo, tap[ST - 1].inside.hi};  // shifts ascend
    if (whole.lo >= whole.hi) whole = {job.columns.outputs, job.columns.outputs};
    const int64_t first = (int64_t{whole.lo} * job.columns.step + tap[0].shift) * block;
    for (int32_t p = band.p0; p < band.p1; ++p) {
        const float *row[RT], *x[RT], *dy = band.dy + p * job.dy.row;
#pragma GCC unroll 5
        for (int r = 0; r < RT; ++r) {
            const Tap& line = job.rows.tap[band.r0 + r];
            const bool inside = p >= line.inside.lo && p < line.inside.hi;
            row[r] = inside ? band.x + (int64_t{p} * job.rows.step + line.shift) * job.x.row : job.zeros;
            x[r] = row[r] + first;
        }
        depthwise_border<RT, ST>(job, tap, row, dy, 0, whole.lo, acc);
        depthwise_inside<RT, ST, DILATION>(job, x, dy, whole.lo, whole.hi, acc);
        depthwise_border<RT, ST>(job, tap, row, dy, whole.hi, job.columns.outputs, acc);
    }
#pragma GCC unroll 5
    for (int r = 0; r < RT; ++r)
#pragma GCC unroll 5
        for (int s = 0; s < ST; ++s) vf_store(band.sums + r * sums_row + s * block, acc[r][s]);
}

constexpr int rows_of_tile(int columns) { return tile_sums / columns < tile_taps ? tile_sums / columns : tile_taps; }

typedef void (*DepthwiseTaps)(const DepthwiseWgradJob&, const DepthwiseBand&);

template <int RT, int ST>
static DepthwiseTaps taps_of_rows(int rows, int32_t dilation) {
    if constexpr (RT > 1)
        if (rows < RT) return taps_of_rows<RT - 1, ST>(rows, dilation);
    return dilation == 1 ? depthwise_taps<RT, ST, 1> : depthwise_taps<RT, ST, 0>;
}

template <int ST>
static DepthwiseTaps find_depthwise_taps(int rows, int columns, int32_t dilation) {
    if constexpr (ST > 1)
        if (columns < ST) return find_depthwise_taps<ST - 1>(rows, columns, dilation);
    return taps_of_rows<rows_of_tile(ST), ST>(rows, dilation);
}

// All taps of one vector of channels for a band, tile by tile; columns and rows of the filter are cut into equal parts.
static void depthwise_all_taps(const DepthwiseWgradJob& job, DepthwiseBand band) {
    float* sums = band.sums;
    const int column_parts = static_cast<int>(div_up(job.columns.taps, tile_taps));
    for (int cp = 0; cp < column_parts; ++cp) {
        band.s0 = job.columns.taps * cp / column_parts;
        const int columns = job.columns.taps * (cp + 1) / column_parts - band.s0;
        const int row_parts = static_cast<int>(div_up(job.rows.taps, rows_of_tile(columns)));
        for (int rp = 0; rp < row_parts; ++rp) {
            band.r0 = job.rows.taps * rp / row_parts;
            band.sums = sums + (band.r0 * job.columns.taps + band.s0) * block;
            find_depthwise_taps<tile_taps>(job.rows.taps * (rp + 1) / row_parts - band.r0, columns, job.dilation)(job, band);
        }
    }
}

static void depthwise_leaf(const DepthwiseWgradJob& job, int32_t leaf, int64_t b, float* sums) {
    const int64_t size = int64_t{job.rows.taps} * job.columns.taps * block;
    for (int64_t i = 0; i < size; i += vf_width) vf_store(sums + i, vf_zero());
    const int32_t height = job.columns.outputs >= wgrad_pixels ? 1 : wgrad_pixels / job.columns.outputs;
    for (int64_t n = job.step->leaf_begin[leaf]; n < job.step->leaf_begin[leaf + 1]; ++n) {
        const float* x = job.x.data + n * job.x.image + b * job.x.plane;
        const float* dy = job.dy.data + n * job.dy.image + b * job.dy.plane;
        for (int32_t p = 0; p < job.rows.outputs; p += height) {
            const int32_t until = p + height < job.rows.outputs ? p + height : job.rows.outputs;
            for (int lane = 0; lane < block; lane += vf_width)
                depthwise_all_taps(job, {x + lane, dy + lane, p, until, 0, 0, sums + lane});
        }
    }
}

// The tree over the leaves for one block of channels, and the sums {tap}{16} as canonical filters {16}{tap}.
static void store_depthwise_block(const DepthwiseWgradJob& job, int64_t b, int64_t blocks) {
    const int64_t taps = int64_t{job.rows.taps} * job.columns.taps, leaf_size = blocks * taps * block;
    const int64_t channels = job.dy.c - b * block < block ? job.dy.c - b * block : block;
    for (int64_t t = 0; t < taps; ++t)
        for (int lane = 0; lane < block; lane += vf_width) {
            const float* from = job.sums + (b * taps + t) * block + lane;
            const VF total = leaf_tree_sum<VF>(*job.step, [&](int32_t v) { return vf_load(from + v * leaf_size); });
            const int64_t left = channels - lane;
            if (left > 0)
                vf_store_strided(job.dw + (b * block + lane) * taps + t, taps, total,
                                 left < vf_width ? static_cast<int>(left) : vf_width);
        }
}

static void depthwise_wgrad(const DepthwiseWgradJob& job, const Team& team) {
    const int64_t blocks = div_up(job.dy.c, block), size = int64_t{job.rows.taps} * job.columns.taps * block;
    const Share tasks = share_of(job.step->leaves * blocks, team);
    for (int64_t t = tasks.begin; t < tasks.end; ++t)
        depthwise_leaf(job, static_cast<int32_t>(t / blocks), t % blocks, job.sums + t * size);
    team.barrier();
    const Share mine = share_of(blocks, team);
    for (int64_t b = mine.begin; b < mine.end; ++b) store_depthwise_block(job, b, blocks);
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
