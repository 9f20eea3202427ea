// The loop of the forward pass and of dgrad over nchw16c: a register tile of some neighbouring outputs of a row times a
// panel of up to 32 channels (blocked_tile.h). Inputs outside of the image: rows are skipped; a tile that sticks out at the
// left or right reads through a table of pointers, in which the outside is a block of zeros.
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
#pragma GCC unroll 4
        for (int v = 0; v < KV; ++v) filter[v] = vf_load(w + v * vf_width);
#pragma GCC unroll 16
        for (int p = 0; p < PT; ++p) {
            const VF input = vf_set1(x[p][c]);
#pragma GCC unroll 4
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

// How many taps from s on, of which that one reads column x, are inside for a whole tile and follow each other in memory as
// the channels of a block do: one loop over all of them has fewer ends. At least 1.
template <int PT>
XB_INLINE int32_t taps_inside(const Axis& columns, int32_t s, int32_t x) {
    if (!columns.contiguous || x < 0) return 1;
    const int32_t inside = columns.inputs - (PT - 1) * columns.step - x, left = columns.taps - s;
    return inside < 2 ? 1 : inside < left ? inside : left;
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

XB_INLINE float* direct_output(const DirectJob& job, const DirectPlace& at) {
    const int64_t y = job.rows.out_first + int64_t{at.i} * job.rows.out_step;
    return at.out_image + y * job.out.row + (job.columns.out_first + int64_t{at.j} * job.columns.out_step) * block +
           at.channel / block * job.out.plane + at.channel % block;
}

// STEP: floats between the inputs of neighbouring outputs; 0: not known, always through the table.
template <int PT, int KV, int STEP>
static void direct_tile(const DirectJob& job, const DirectPlace& at) {
    const Axis &rows = job.rows, &columns = job.columns;
    const int64_t next = int64_t{columns.out_step} * block, plane = job.out.plane;  // read once: a store could change them
    float* const out = direct_output(job, at);
    const int32_t i = at.i, j = at.j;
    VF acc[PT][KV];
    start_tile(at.c0 == 0 ? job.bias + at.channel : nullptr, out, plane, next, acc);
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
            for (int32_t s = 0, run = 1; s < columns.taps; s += run, w += filter_size * run) {
                const int32_t x = j * columns.step + columns.tap[s].shift;
                run = STEP != 0 && channels == job.in.width ? taps_inside<PT>(columns, s, x) : 1;
                if (run > 1)
                    multiply_inside<PT, KV, STEP, 0, 0>(acc, row + int64_t{x} * job.in.pixel, w, run * channels);
                else
                    multiply_tap<PT, KV, STEP>(acc, row, x, job, w, channels);
            }
        }
    }
    end_tile(job.relu && at.c1 == job.in.c, out, plane, next, acc);
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

template <int KV, int PT = tile_pixels_of(KV)>
static DirectTile find_tile(int32_t pixels, int32_t step) {
    if constexpr (PT == 0) {
        return nullptr;
    } else {
        if (pixels < PT) return find_tile<KV, PT - 1>(pixels, step);
        return tile_for_step<PT, KV>(step);
    }
}

// {half group, whole group}
struct DirectCuts {
    RowCut<DirectTile> of[2];
    const RowCut<DirectTile>& at(int vectors) const { return of[vectors == panel_vectors]; }
};

XB_INLINE DirectCuts direct_cuts(const DirectJob& job) {
    const int32_t outs = job.columns.outputs, step = job.columns.step * job.in.pixel;
    return {{cut_row(outs, tile_pixels_of(half_panel), [&](int32_t pixels) { return find_tile<half_panel>(pixels, step); }),
             cut_row(outs, tile_pixels_of(panel_vectors),
                     [&](int32_t pixels) { return find_tile<panel_vectors>(pixels, step); })}};
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
