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

constexpr int32_t band_pixels = 448;  // their sums and inputs stay in the second-level cache

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
    if constexpr (STEP == 2 * block && PT > 1)
        if (x < 0 && x >= -step && ends) return multiply_inside<PT, KV, STEP, 1, 0>(acc, first, w, channels);
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

// A tile: outputs (i, j .. ) of one image for the output channels from `channel` on, and the input channels c0 .. c1-1 that
// are added now. What was added before lies in the output.
struct DirectPlace {
    const float* image;  // at input channel c0
    float* out_image;
    const float* weights;  // of the group, at c0
    int64_t channel, c0, c1;
    int32_t i, j;
};

template <int KV>
XB_INLINE float* direct_output(const DirectJob& job, const DirectPlace& at, int v) {
    const int64_t y = job.rows.out_first + int64_t{at.i} * job.rows.out_step, k = at.channel + v * vf_width;
    return at.out_image + y * job.out.row + (job.columns.out_first + int64_t{at.j} * job.columns.out_step) * block +
           k / block * job.out.plane + k % block;
}

// STEP: floats between the inputs of neighbouring outputs; 0: not known, always through the table.
template <int PT, int KV, int STEP>
static void direct_tile(const DirectJob& job, const DirectPlace& at) {
    const Axis &rows = job.rows, &columns = job.columns;
    const int64_t next = int64_t{columns.out_step} * block;
    const int32_t i = at.i, j = at.j;
    VF acc[PT][KV];
#pragma GCC unroll 2
    for (int v = 0; v < KV; ++v) {
        const float* from = at.c0 == 0 ? job.bias + at.channel + v * vf_width : direct_output<KV>(job, at, v);
        const int64_t step = at.c0 == 0 ? 0 : next;
#pragma GCC unroll 16
        for (int p = 0; p < PT; ++p) acc[p][v] = vf_load(from + p * step);
    }
    const float *image = at.image, *w = at.weights;
    for (int64_t c0 = at.c0; c0 < at.c1; c0 += job.in.width, image += job.in.plane) {
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
    const bool relu = job.relu && at.c1 == job.in.c;
#pragma GCC unroll 2
    for (int v = 0; v < KV; ++v) {
        float* to = direct_output<KV>(job, at, v);
#pragma GCC unroll 16
        for (int p = 0; p < PT; ++p) vf_store(to + p * next, relu ? vf_relu(acc[p][v]) : acc[p][v]);
    }
}

typedef void (*DirectTile)(const DirectJob&, const DirectPlace&);

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

// How many input channels are added at a time: their weights for a group (128 KiB at most) and the band's sums stay in the
// second-level cache.
XB_INLINE int64_t direct_depth(const DirectJob& job) {
    const int64_t taps = int64_t{job.rows.taps} * job.columns.taps;
    if (taps == 0) return job.in.c;
    const int64_t blocks = (int64_t{128} << 10) / (taps * block * group_width * static_cast<int64_t>(sizeof(float)));
    return blocks > 1 ? blocks * block : block;
}

// Bands of rows of one image; a row is cut into equal tiles of at most tile_pixels.
static inline void direct_convolution(const DirectJob& job, const Team& team) {
    const int32_t outs = job.columns.outputs, rows = job.rows.outputs;
    if (outs == 0 || rows == 0) return;
    const int64_t groups = div_up(div_up(job.out.c, block) * block, group_width);
    const int64_t taps = int64_t{job.rows.taps} * job.columns.taps;
    const int32_t tiles = static_cast<int32_t>(div_up(outs, tile_pixels)), wide = outs / tiles + (outs % tiles != 0);
    const int32_t step = job.columns.step * job.in.pixel, band = outs < band_pixels ? band_pixels / outs : 1;
    const int64_t depth = direct_depth(job);
    DirectTile tile[2][2];  // {vectors}{pixels: wide, wide - 1}
    for (int v = 0; v < 2; ++v)
        for (int less = 0; less < 2; ++less) tile[v][less] = find_tile<tile_pixels>(wide - less, v + 1, step);
    const Share mine = share_of(job.in.n * groups * rows, team);
    for (int64_t task = mine.begin; task < mine.end;) {
        const int64_t group = task / rows % groups, n = task / rows / groups, channel = group * group_width;
        const int32_t first = static_cast<int32_t>(task % rows);
        const int64_t left = mine.end - task < band ? mine.end - task : band;
        const int32_t end = first + left < rows ? first + static_cast<int32_t>(left) : rows;
        const int vectors = group_vectors_at(channel, job.out.c);
        for (int64_t c = 0; c < job.in.c; c += depth) {
            const float* weights = job.weights + (group * job.in.c * group_width + c * vectors * vf_width) * taps;
            const int64_t until = c + depth < job.in.c ? c + depth : job.in.c;
            const float* image = job.in.data + n * job.in.image + c / job.in.width * job.in.plane;
            for (int32_t i = first; i < end; ++i)
                for (int32_t t = 0; t < tiles; ++t) {
                    const int32_t j = outs * t / tiles, pixels = outs * (t + 1) / tiles - j;
                    tile[vectors - 1][wide - pixels](
                        job, {image, job.out.data + n * job.out.image, weights, channel, c, until, i, j});
                }
        }
        task += end - first;
    }
}

// {group}{input block}{tap}{channel of the block}{channel of the group}, as direct_tile reads them.
static inline void pack_filters(const FilterView& w, const Axis& rows, const Axis& columns, int32_t in_width, float* packed,
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
