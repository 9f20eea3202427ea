// The forward pass of a first layer: plain image with up to 4 channels -> nchw16c. Of the rows that an output row needs a
// padded copy is made (stem_rows.h), then one loop over all c*r*s positions of the filter fills a tile of up to 14 (AVX2: 3)
// pixels x 32 channels. With loops of 3 or 7 taps instead, a quarter of the time went into their ends.
#pragma once

#include "kernels/conv2d/stem/stem_rows.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

constexpr int max_positions = 4 * max_taps * max_taps;

struct StemForwardJob {
    Blocks in, out;
    Axis rows, columns;
    const float* weights;  // {group}{position}{channel of the group}
    const float* bias;     // padded to whole groups
    bool relu;
    float* rows_copy;  // of this thread
    int32_t positions;
    int32_t offset[max_positions];  // of a position's input in the copied rows
};

// STEP: between the inputs of neighbouring outputs; 0: any other.
template <int PT, int KV, int STEP>
static void stem_forward_tile(const StemForwardJob& job, const float* x, const float* w, const float* bias, float* out) {
    const int64_t step = STEP ? STEP : job.columns.step;
    VF acc[PT][KV];
#pragma GCC unroll 16
    for (int p = 0; p < PT; ++p)
#pragma GCC unroll 4
        for (int v = 0; v < KV; ++v) acc[p][v] = vf_load(bias + v * vf_width);
    for (int32_t i = 0; i < job.positions; ++i, w += KV * vf_width) {
        const float* input = x + job.offset[i];
        VF filter[KV];
#pragma GCC unroll 4
        for (int v = 0; v < KV; ++v) filter[v] = vf_load(w + v * vf_width);
#pragma GCC unroll 16
        for (int p = 0; p < PT; ++p) {
            const VF one = vf_set1(input[p * step]);
#pragma GCC unroll 4
            for (int v = 0; v < KV; ++v) acc[p][v] = vf_fma(one, filter[v], acc[p][v]);
        }
    }
#pragma GCC unroll 4
    for (int v = 0; v < KV; ++v) {
        float* to = out + v * vf_width / block * job.out.plane + v * vf_width % block;
#pragma GCC unroll 16
        for (int p = 0; p < PT; ++p) vf_store(to + p * block, job.relu ? vf_relu(acc[p][v]) : acc[p][v]);
    }
}

typedef void (*StemForwardTile)(const StemForwardJob&, const float*, const float*, const float*, float*);

template <int PT, int KV>
static StemForwardTile stem_tile_for_step(int32_t step) {
    return step == 1   ? stem_forward_tile<PT, KV, 1>
           : step == 2 ? stem_forward_tile<PT, KV, 2>
                       : stem_forward_tile<PT, KV, 0>;
}

template <int KV, int PT = tile_pixels_of(KV)>
static StemForwardTile find_stem_tile(int32_t pixels, int32_t step) {
    if constexpr (PT == 0) {
        return nullptr;
    } else {
        if (pixels < PT) return find_stem_tile<KV, PT - 1>(pixels, step);
        return stem_tile_for_step<PT, KV>(step);
    }
}

XB_INLINE void set_stem_offsets(StemForwardJob& job) {
    const int64_t width = stem_row_width(job.columns);
    job.positions = 0;
    for (int64_t row = 0; row < job.in.c * job.rows.taps; ++row)
        for (int32_t s = 0; s < job.columns.taps; ++s)
            job.offset[job.positions++] =
                static_cast<int32_t>(row * width + job.columns.tap[s].shift - job.columns.tap[0].shift);
}

// How a row is cut into equal tiles, by the vectors of a group of channels.
struct StemCuts {
    RowCut<StemForwardTile> of[2];
};
XB_INLINE StemCuts stem_cuts(const Axis& columns) {
    const int32_t outs = columns.outputs, step = columns.step;
    return {
        {cut_row(outs, tile_pixels_of(half_panel), [&](int32_t pixels) { return find_stem_tile<half_panel>(pixels, step); }),
         cut_row(outs, tile_pixels_of(panel_vectors),
                 [&](int32_t pixels) { return find_stem_tile<panel_vectors>(pixels, step); })}};
}

// Output row i of an image, channels first to end (whole panels, or up to the last channel); out: of channel 0 in this row.
static void stem_forward_row(const StemForwardJob& job, const StemCuts& cuts, int64_t n, int32_t i, int64_t first,
                             int64_t end, float* out) {
    copy_stem_rows(job.in, job.rows, job.columns, job.in.data + n * job.in.image, 0, job.in.c * job.rows.taps, i,
                   job.rows_copy);
    const int32_t outs = job.columns.outputs;
    for (int64_t k = first; k < end; k += panel_width) {
        const RowCut<StemForwardTile>& cut = cuts.of[panel_vectors_at(k, job.out.c) == panel_vectors];
        float* const row = out + k / block * job.out.plane + k % block;
        for (int32_t t = 0; t < cut.tiles; ++t) {
            const int32_t j = outs * t / cut.tiles, pixels = outs * (t + 1) / cut.tiles - j;
            cut.tile[cut.wide - pixels](job, job.rows_copy + int64_t{j} * job.columns.step, job.weights + k * job.positions,
                                        job.bias + k, row + int64_t{j} * block);
        }
    }
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
