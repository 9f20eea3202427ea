// The order of the tiles of direct_blocked_forward.h, and the packing of their filters. Group after group of 32 output
// channels, each in bands of lines over all images; within a band some input channels after the other, whose packed filters
// stay in a cache. An output's sum goes over ascending channels whatever the bands: the same bits for any team.
#pragma once

#include "kernels/conv2d/direct/direct_blocked_forward.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

constexpr int32_t band_pixels = 448;  // their sums and inputs stay in the second-level cache

// How many input channels are added at a time: their weights for a group stay in the second-level cache (128 KiB at most),
// with AVX2 in the first level: three pixels a tile read them 5 times as often as 14.
constexpr int64_t depth_bytes = (vf_registers == 32 ? 128 : 20) << 10;
XB_INLINE int64_t direct_depth(const DirectJob& job) {
    const int64_t taps = int64_t{job.rows.taps} * job.columns.taps;
    if (taps == 0) return job.in.c;
    const int64_t blocks = depth_bytes / (taps * block * panel_width * static_cast<int64_t>(sizeof(float)));
    return blocks > 1 ? blocks * block : block;
}

// Lines of outputs, counted over the rows of all images, of one group of channels.
struct DirectBand {
    int64_t group, first, end;
    int32_t rows;  // lines of an image
    bool packed;   // whether the group's filters are packed already
};

// Asks for a part of the filters that are packed next: panel_width outputs of inputs c .. c+depth-1.
XB_INLINE void prefetch_filters(const FilterView& w, int64_t channel, int64_t c, int64_t depth, int64_t part,
                                int64_t parts) {
    const int64_t outs = w.outs - channel < panel_width ? w.outs - channel : panel_width;
    const int64_t ins = w.ins - c < depth ? w.ins - c : depth;
    const bool by_out = w.out_step > w.in_step;  // else the filters of the outputs follow each other
    const int64_t rows = by_out ? outs : ins, step = by_out ? w.out_step : w.in_step, run = (by_out ? ins : outs) * w.area;
    const float* from = w.data + channel * w.out_step + c * w.in_step;
    for (int64_t row = rows * part / parts; row < rows * (part + 1) / parts; ++row)
        for (int64_t i = 0; i < run; i += 16) __builtin_prefetch(from + row * step + i, 0, 2);
}

// One phase of a band: for some input channels after the other, their filters are packed and then all lines computed.
[[maybe_unused]] static void direct_band(const DirectJob& job, const DirectBand& band, const FilterView& filters,
                                         float* packed) {
    const int32_t outs = job.columns.outputs;
    if (outs == 0 || job.rows.outputs == 0) return;
    const int64_t channel = band.group * panel_width, taps = int64_t{job.rows.taps} * job.columns.taps;
    const int64_t depth = direct_depth(job);
    const int vectors = panel_vectors_at(channel, job.out.c);
    const RowCut<DirectTile> cut = direct_cuts(job).at(vectors);
    const TapOrder order = tap_order(filters, job.rows, job.columns);
    for (int64_t c = 0; c < job.in.c; c += depth) {
        const int64_t until = c + depth < job.in.c ? c + depth : job.in.c;
        float* weights = packed + c * vectors * vf_width * taps;
        for (int64_t b = c; b < until && !band.packed; b += block)
            pack_block(filters, order, channel, b, static_cast<int32_t>(until - b < block ? until - b : block), vectors,
                       weights + (b - c) * vectors * vf_width * taps);
        const float* plane = job.in.data + c / block * job.in.plane;
        const int64_t next = !band.packed && until < job.in.c ? until : -1;
        for (int64_t line = band.first; line < band.end; ++line) {
            const int64_t n = line / band.rows;
            const int32_t i = static_cast<int32_t>(line % band.rows);
            if (next >= 0) prefetch_filters(filters, channel, next, depth, line - band.first, band.end - band.first);
            for (int32_t t = 0; t < cut.tiles && i < job.rows.outputs; ++t) {
                const int32_t j = outs * t / cut.tiles, pixels = outs * (t + 1) / cut.tiles - j;
                cut.tile[cut.wide - pixels](
                    job, {plane + n * job.in.image, job.out.data + n * job.out.image, weights, channel, c, until, i, j});
            }
        }
    }
}

// The floats of the packed filters of one group, all phases.
XB_INLINE int64_t packed_group_size(int64_t ins, int64_t taps) { return panel_width * ins * taps; }

// Group after group, each in bands of lines; of dgrad all phases, phase_of(i), of which the first has the most rows. A
// thread packs a group's filters with its first band of it, each part just before its use: they come from memory once and
// stay in the caches, which matters for many channels and few pixels.
template <class PhaseOf>
XB_INLINE void direct_convolution(int32_t phases, const PhaseOf& phase_of, const FilterView& filters, float* packed,
                                  const Team& team) {
    const DirectJob whole = phase_of(0);
    const int32_t outs = whole.columns.outputs, rows = whole.rows.outputs;
    if (outs == 0 || rows == 0) return;
    const int64_t groups = div_up(div_up(whole.out.c, block) * block, panel_width), lines = whole.in.n * rows;
    const int64_t most = outs < band_pixels ? band_pixels / outs : 1;
    const Share mine = share_of(groups * lines, team);
    DirectBand band = {-1, 0, 0, rows, false};
    for (int64_t task = mine.begin; task < mine.end; task += band.end - band.first) {
        band.packed = band.group == task / lines;
        band.group = task / lines;
        band.first = task % lines;
        const int64_t left = mine.end - task < most ? mine.end - task : most;
        band.end = band.first + left < lines ? band.first + left : lines;
        float* weights = packed;
        for (int32_t i = 0; i < phases; ++i) {
            const DirectJob job = phase_of(i);
            direct_band(job, band, filters, weights);
            weights += packed_group_size(job.in.c, int64_t{job.rows.taps} * job.columns.taps);
        }
    }
}

// All filters at once for kernels that go over the groups for each row: {group}{input block}{tap}{channel of the
// block}{channel of the group}, as direct_tile reads them.
static inline void pack_filters(const FilterView& w, const Axis& rows, const Axis& columns, int32_t in_width, float* packed,
                                const Team& team) {
    const int64_t groups = div_up(div_up(w.outs, block) * block, panel_width), in_blocks = div_up(w.ins, in_width);
    const int64_t taps = int64_t{rows.taps} * columns.taps;
    const TapOrder order = tap_order(w, rows, columns);
    const Share mine = share_of(groups * in_blocks, team);
    for (int64_t task = mine.begin; task < mine.end; ++task) {
        const int64_t group = task / in_blocks, c0 = task % in_blocks * in_width, channel = group * panel_width;
        const int32_t channels = w.ins - c0 < in_width ? static_cast<int32_t>(w.ins - c0) : in_width;
        const int vectors = panel_vectors_at(channel, w.outs);
        float* to = packed + group * w.ins * taps * panel_width + c0 * taps * vectors * vf_width;
        pack_block(w, order, channel, c0, channels, vectors, to);
    }
}

// Floats of all packed filters.
XB_INLINE int64_t packed_size(int64_t outs, int64_t ins, int64_t taps) {
    return div_up(div_up(outs, block) * block, panel_width) * panel_width * ins * taps;
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
