// The loop of the forward pass and of dgrad over nchw16c: a register tile of up to tile_pixels neighbouring outputs of a row
// times a group of up to group_vectors vectors of channels. For each input channel and tap it loads the group's
// weights once and broadcasts one input a pixel: 28 multiply-adds for 2 + 14 loads with AVX-512.
// Inputs outside of the image: rows are skipped; a tile that sticks out at the left or right reads through a table of
// pointers, in which the outside is a block of zeros.
#pragma once

#include "kernels/conv2d/blocked_tile.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

struct DirectJob {
    Blocks in, out;
    Axis rows, columns;
    const float* weights;  // {group}{input block}{r}{s}{channel of the block}{channel of the group}
    const float* bias;     // padded to whole groups
    bool relu;
};

const float zero_block[block] = {};

template <int PT, int KV>
XB_INLINE void multiply_at_border(VF (&acc)[PT][KV], const float* row, int32_t column, int32_t step, const DirectJob& job,
                                  const float* w, int32_t channels) {
    const float* x[PT];
    for (int p = 0; p < PT; ++p) {
        const int32_t at = column + p * step;
        x[p] = at >= 0 && at < job.columns.inputs ? row + int64_t{at} * job.in.pixel : zero_block;
    }
    for (int32_t c = 0; c < channels; ++c, w += KV * vf_width) {
        VF filter[KV];
#pragma GCC unroll 2
        for (int v = 0; v < KV; ++v) filter[v] = vf_load(w + v * vf_width);
#pragma GCC unroll 16
        for (int p = 0; p < PT; ++p) {
            const VF input = vf_set1(x[p][c]);
#pragma GCC unroll 2
            for (int v = 0; v < KV; ++v) acc[p][v] = vf_fma(input, filter[v], acc[p][v]);
        }
    }
}

// One tap of a tile whose first pixel reads column x. The usual borders have loops of their own, which multiply no zeros.
template <int PT, int KV, int STEP>
XB_INLINE void multiply_tap(VF (&acc)[PT][KV], const float* row, int32_t x, const DirectJob& job, const float* w,
                            int32_t channels) {
    const int32_t step = job.columns.step;
    const float* first = row + int64_t{x} * job.in.pixel;
    const bool begins = x >= 0, ends = x + (PT - 1) * step < job.columns.inputs;
    if constexpr (STEP != 0)
        if (begins && ends) return multiply_inside<PT, KV, STEP, 0, 0>(acc, first, w, channels);
    if constexpr (STEP == block && PT > 2) {
        const int32_t lo = begins ? 0 : -x, hi = ends ? 0 : x + PT - job.columns.inputs;
        if (lo == 1 && hi == 0) return multiply_inside<PT, KV, STEP, 1, 0>(acc, first, w, channels);
        if (lo == 0 && hi == 1) return multiply_inside<PT, KV, STEP, 0, 1>(acc, first, w, channels);
        if (lo == 1 && hi == 1) return multiply_inside<PT, KV, STEP, 1, 1>(acc, first, w, channels);
        if (lo == 2 && hi == 0) return multiply_inside<PT, KV, STEP, 2, 0>(acc, first, w, channels);
        if (lo == 0 && hi == 2) return multiply_inside<PT, KV, STEP, 0, 2>(acc, first, w, channels);
    }
    multiply_at_border<PT, KV>(acc, row, x, step, job, w, channels);
}

// Outputs (i, j .. j+PT-1) of one image for the channels channel .. channel + KV*vf_width - 1.
// STEP: floats between the inputs of neighbouring outputs; 0: not known, always through the table.
template <int PT, int KV, int STEP>
static void direct_tile(const DirectJob& job, const float* image, const float* w, int64_t channel, int32_t i, int32_t j,
                        float* out_image) {
    VF acc[PT][KV];
#pragma GCC unroll 16
    for (int p = 0; p < PT; ++p)
#pragma GCC unroll 2
        for (int v = 0; v < KV; ++v) acc[p][v] = vf_load(job.bias + channel + v * vf_width);
    const Axis &rows = job.rows, &columns = job.columns;
    for (int64_t c0 = 0; c0 < job.in.c; c0 += job.in.width, image += job.in.plane) {
        const int32_t channels = job.in.c - c0 < job.in.width ? static_cast<int32_t>(job.in.c - c0) : job.in.width;
        const int64_t filter_size = int64_t{channels} * KV * vf_width;
        for (int32_t r = 0; r < rows.taps; ++r) {
            const int32_t y = i * rows.step + rows.tap[r].shift;
            if (y < 0 || y >= rows.inputs) {
                w += filter_size * columns.taps;
                continue;
            }
            const float* row = image + y * job.in.row;
            if constexpr (STEP == 1 || STEP == 2) {  // plain: neighbouring taps are as neighbouring channels of a block
                const int32_t x = j * columns.step + columns.tap[0].shift;
                if (x >= 0 && columns.contiguous && x + columns.taps - 1 + (PT - 1) * STEP < columns.inputs) {
                    multiply_inside<PT, KV, STEP, 0, 0>(acc, row + x, w, columns.taps);
                    w += filter_size * columns.taps;
                    continue;
                }
            }
            for (int32_t s = 0; s < columns.taps; ++s, w += filter_size) {
                const int32_t x = j * columns.step + columns.tap[s].shift;
                multiply_tap<PT, KV, STEP>(acc, row, x, job, w, channels);
            }
        }
    }
    const int64_t y = rows.out_first + int64_t{i} * rows.out_step;
    float* out = out_image + y * job.out.row + (columns.out_first + int64_t{j} * columns.out_step) * block;
#pragma GCC unroll 2
    for (int v = 0; v < KV; ++v) {
        float* at = out + (channel + v * vf_width) / block * job.out.plane + (channel + v * vf_width) % block;
#pragma GCC unroll 16
        for (int p = 0; p < PT; ++p)
            vf_store(at + int64_t{p} * columns.out_step * block, job.relu ? vf_relu(acc[p][v]) : acc[p][v]);
    }
}

typedef void (*DirectTile)(const DirectJob&, const float*, const float*, int64_t, int32_t, int32_t, float*);

template <int PT, int KV>
static DirectTile tile_for_step(int32_t step) {
    switch (step) {
        case 1: return direct_tile<PT, KV, 1>;
        case 2: return direct_tile<PT, KV, 2>;
        case 16: return direct_tile<PT, KV, 16>;
        case 32: return direct_tile<PT, KV, 32>;
        default: return direct_tile<PT, KV, 0>;
    }
}

template <int PT>
static DirectTile find_tile(int pixels, int vectors, int32_t step) {
    if constexpr (PT == 0) {
        return nullptr;
    } else {
        if (pixels < PT) return find_tile<PT - 1>(pixels, vectors, step);
        return vectors == 1 ? tile_for_step<PT, 1>(step) : tile_for_step<PT, 2>(step);
    }
}

// One image row after another; a row is cut into equal tiles of at most tile_pixels.
static void direct_convolution(const DirectJob& job, const Team& team) {
    const int32_t outs = job.columns.outputs;
    if (outs == 0 || job.rows.outputs == 0) return;
    const int64_t groups = div_up(div_up(job.out.c, block) * block, group_width);
    const int64_t group_size = job.in.c * job.rows.taps * job.columns.taps * group_width;
    const int32_t tiles = static_cast<int32_t>(div_up(outs, tile_pixels)), wide = outs / tiles + (outs % tiles != 0);
    const int32_t step = job.columns.step * job.in.pixel;
    DirectTile tile[2][2];  // {vectors}{pixels: wide, wide - 1}
    for (int v = 0; v < 2; ++v)
        for (int less = 0; less < 2; ++less) tile[v][less] = find_tile<tile_pixels>(wide - less, v + 1, step);
    const Share mine = share_of(job.in.n * groups * job.rows.outputs, team);
    for (int64_t task = mine.begin; task < mine.end; ++task) {
        const int32_t i = static_cast<int32_t>(task % job.rows.outputs);
        const int64_t group = task / job.rows.outputs % groups, n = task / job.rows.outputs / groups;
        const int64_t channel = group * group_width;
        const int vectors = group_vectors_at(channel, job.out.c);
        for (int32_t t = 0; t < tiles; ++t) {
            const int32_t j = outs * t / tiles, pixels = outs * (t + 1) / tiles - j;
            tile[vectors - 1][wide - pixels](job, job.in.data + n * job.in.image, job.weights + group * group_size, channel,
                                             i, j, job.out.data + n * job.out.image);
        }
    }
}

// {group}{input block}{tap}{channel of the block}{channel of the group}, as direct_tile reads them.
static void pack_filters(const FilterView& w, const Axis& rows, const Axis& columns, int32_t in_width, float* packed,
                         const Team& team) {
    const int64_t groups = div_up(div_up(w.outs, block) * block, group_width), in_blocks = div_up(w.ins, in_width);
    const int64_t taps = int64_t{rows.taps} * columns.taps;
    const TapOrder order = tap_order(w, rows, columns);
    const Share mine = share_of(groups * in_blocks, team);
    for (int64_t task = mine.begin; task < mine.end; ++task) {
        const int64_t group = task / in_blocks, c0 = task % in_blocks * in_width, channel = group * group_width;
        const int32_t channels = w.ins - c0 < in_width ? static_cast<int32_t>(w.ins - c0) : in_width;
        const int vectors = group_vectors_at(channel, w.outs);
        float* to = packed + group * w.ins * taps * group_width + c0 * taps * vectors * vf_width;
        pack_block(w, order, channel, c0, channels, vectors, to);
    }
}

// Floats of all packed filters.
XB_INLINE int64_t packed_size(int64_t outs, int64_t ins, int64_t taps) {
    return div_up(div_up(outs, block) * block, group_width) * group_width * ins * taps;
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
