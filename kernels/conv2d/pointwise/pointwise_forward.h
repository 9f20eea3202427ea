// 1x1 filters over nchw16c, forward and dgrad: a matrix product {pixels}{c} x {c}{k}. Pixels of an image follow each other
// without row borders; of dgrad with a stride each row is a line of its own. Tiles of up to 14 (AVX2: 3) pixels x 32
// channels in registers. A panel of depth_chunk input channels x 32 output channels (16 KiB) stays in the first-level cache
// for a band of tiles, whose inputs stay in the second level; between panels the sums wait in the output, so that their
// order is c ascending whatever the blocking.
#pragma once

#include "kernels/conv2d/blocked_tile.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

constexpr int depth_chunk = 128, pointwise_band_pixels = 224;
constexpr int band_tiles = pointwise_band_pixels / tile_pixels_of(panel_vectors);

// Pixels in lines: pixel j of line i of image n lies at n*image + i*line + j*pixel of the first plane. Those of the input
// are neighbours (pixel = block).
struct Lines {
    float* data;
    int64_t image, line, plane;
    int32_t pixel;
};

struct PointwiseJob {
    Lines in, out;
    int64_t images, lines;  // lines of an image
    int32_t pixels;         // of a line
    int64_t in_c, out_c;
    int32_t spread;        // dgrad with a stride: outputs are this far apart, zeros lie between
    int64_t out_h, out_w;  // of the whole output
    const float* weights;  // {chunk of c}{group}{c}{channel of the group}
    const float* bias;     // padded to whole groups
    bool relu;
};

// One tile's place; x at the first plane of inputs, out at the first of outputs.
struct PointwisePlace {
    const float* x;
    float* out;
    int32_t pixels, line, first;  // which outputs: line and first pixel
};

struct PointwiseCall {
    const float *x, *weights;
    const float* bias;  // null: go on with the sums in out
    float* out;
    int64_t in_plane, out_plane;
    int32_t blocks, out_pixel;
    bool relu;
};

// The sizes are read once: a store could change those of the call.
template <int PT, int KV>
static void pointwise_tile(const PointwiseCall& t) {
    float* const out = t.out;
    const int64_t out_plane = t.out_plane, in_plane = t.in_plane, next = t.out_pixel;
    VF acc[PT][KV];
    start_tile(t.bias, out, out_plane, next, acc);
    const float *w = t.weights, *plane = t.x;
    for (int32_t b = t.blocks; b > 0; --b, plane += in_plane, w += block * KV * vf_width)
        multiply_inside<PT, KV, block, 0, 0>(acc, plane, w, block);
    end_tile(t.relu, out, out_plane, next, acc);
}

typedef void (*PointwiseTile)(const PointwiseCall&);

template <int KV, int PT = tile_pixels_of(KV)>
static PointwiseTile find_pointwise_tile(int32_t pixels) {
    if constexpr (PT == 0) {
        return nullptr;
    } else {
        if (pixels < PT) return find_pointwise_tile<KV, PT - 1>(pixels);
        return pointwise_tile<PT, KV>;
    }
}

// The inputs between the pixels that a convolution with a stride read have no gradient.
static void clear_between(const PointwiseJob& job, const PointwisePlace& place, int64_t channel, int vectors) {
    for (int32_t a = 0; a < job.spread; ++a)
        for (int32_t b = 0; b < job.spread; ++b) {
            if ((a == 0 && b == 0) || place.line * job.spread + a >= job.out_h) continue;
            float* row = place.out + channel / block * job.out.plane + channel % block + (a * job.out_w + b) * block;
            for (int32_t p = 0; p < place.pixels && (place.first + p) * job.spread + b < job.out_w; ++p)
                for (int v = 0; v < vectors; ++v)
                    vf_store(row + v * vf_width / block * job.out.plane + v * vf_width % block + int64_t{p} * job.out.pixel,
                             vf_zero());
        }
}

// Lines are cut alike for all groups: as the first one likes it, which is whole unless it is the only one.
typedef RowCut<PointwiseTile> PointwiseCut;

// Blocks b .. b + depth - 1 of the input channels and the group of output channels from k on: those of a panel.
struct Panel {
    int64_t b, depth, k;
    bool first, last;  // of its group
    int vectors;
};

XB_INLINE Panel panel_at(const PointwiseJob& job, int64_t b, int64_t k) {
    const int64_t blocks = div_up(job.in_c, block), left = blocks - b;
    const int64_t depth = left < depth_chunk / block ? left : depth_chunk / block;
    return {b, depth, k, b == 0, b + depth == blocks, panel_vectors_at(k, job.out_c)};
}

// One tile times a panel; cuts: {half group, whole group}.
XB_INLINE void multiply_panel(const PointwiseJob& job, const PointwiseCut (&cuts)[2], const Panel& panel,
                              const float* weights, const PointwisePlace& place) {
    const PointwiseCut& cut = cuts[panel.vectors == panel_vectors];
    cut.tile[cut.wide - place.pixels]({place.x + panel.b * job.in.plane, weights, panel.first ? job.bias + panel.k : nullptr,
                                       place.out + panel.k / block * job.out.plane + panel.k % block, job.in.plane,
                                       job.out.plane, static_cast<int32_t>(panel.depth), job.out.pixel,
                                       job.relu && panel.last});
    if (panel.last && job.spread > 1) clear_between(job, place, panel.k, panel.vectors);
}

// The tiles of a band for the groups g0 .. g1-1.
static void pointwise_band(const PointwiseJob& job, const PointwisePlace* places, int count, const PointwiseCut (&cuts)[2],
                           int64_t g0, int64_t g1) {
    const int64_t blocks = div_up(job.in_c, block), padded = div_up(job.out_c, block) * block;
    for (int64_t b = 0; b < blocks; b += depth_chunk / block)
        for (int64_t k = g0 * panel_width; k < g1 * panel_width; k += panel_width) {
            const Panel panel = panel_at(job, b, k);
            const float* weights = job.weights + b * block * padded + k * panel.depth * block;
            for (int i = 0; i < count; ++i) multiply_panel(job, cuts, panel, weights, places[i]);
        }
}

XB_INLINE int64_t pointwise_groups(const PointwiseJob& job) { return div_up(div_up(job.out_c, block) * block, panel_width); }

static void cut_pointwise_lines(const PointwiseJob& job, PointwiseCut (&cuts)[2]) {
    const int32_t most = tile_pixels_of(panel_vectors_at(0, job.out_c));
    cuts[0] = cut_row(job.pixels, most, [](int32_t pixels) { return find_pointwise_tile<half_panel>(pixels); });
    cuts[1] = cut_row(job.pixels, most, [](int32_t pixels) { return find_pointwise_tile<panel_vectors>(pixels); });
}

// Tile i of all, counted over images, lines and tiles of a line.
XB_INLINE PointwisePlace pointwise_place(const PointwiseJob& job, int32_t tiles, int64_t i) {
    const int32_t t = static_cast<int32_t>(i % tiles), j = job.pixels * t / tiles;
    const int64_t line = i / tiles % job.lines, n = i / tiles / job.lines;
    return {job.in.data + n * job.in.image + line * job.in.line + int64_t{j} * block,
            job.out.data + n * job.out.image + line * job.out.line + int64_t{j} * job.out.pixel,
            job.pixels * (t + 1) / tiles - j, static_cast<int32_t>(line), j};
}

// Bands of tiles, the lines of all images one after another; a line is cut into equal tiles.
static void pointwise_convolution(const PointwiseJob& job, const PointwiseCut (&cuts)[2], const Team& team) {
    const int64_t groups = pointwise_groups(job);
    const int32_t tiles = cuts[0].tiles;
    const int64_t all = job.images * job.lines * tiles, bands = div_up(all, band_tiles);
    const Share mine = share_of(bands * groups, team);
    for (int64_t task = mine.begin; task < mine.end;) {
        const int64_t band = task / groups, g0 = task % groups;
        const int64_t g1 = groups < g0 + mine.end - task ? groups : g0 + mine.end - task;
        PointwisePlace places[band_tiles];
        int count = 0;
        for (int64_t i = all * band / bands; i < all * (band + 1) / bands; ++i, ++count)
            places[count] = pointwise_place(job, tiles, i);
        pointwise_band(job, places, count, cuts, g0, g1);
        task += g1 - g0;
    }
}

// The panel of up to depth_chunk input channels from c0 on and the group from k on; channels past the last are zero.
static void pack_panel(const FilterView& w, int64_t k, int64_t c0, float* to) {
    TapOrder one = {};
    one.area = one.used = 1;
    const int64_t left = w.ins - c0, channels = left < depth_chunk ? left : depth_chunk;
    const int vectors = panel_vectors_at(k, w.outs);
    const int64_t width = int64_t{vectors} * vf_width;
    pack_block(w, one, k, c0, static_cast<int32_t>(channels), vectors, to);
    for (int64_t i = channels * width; i < div_up(channels, block) * block * width; i += vf_width)
        vf_store(to + i, vf_zero());
}

// {chunk of c}{group}{c}{channel of the group}
static void pack_pointwise(const FilterView& w, float* packed, const Team& team) {
    const int64_t padded = div_up(w.outs, block) * block, groups = div_up(padded, panel_width);
    const Share mine = share_of(groups * div_up(w.ins, depth_chunk), team);
    for (int64_t task = mine.begin; task < mine.end; ++task) {
        const int64_t c0 = task / groups * depth_chunk, k = task % groups * panel_width;
        const int64_t left = div_up(w.ins - c0, block) * block, depth = left < depth_chunk ? left : depth_chunk;
        pack_panel(w, k, c0, packed + c0 * padded + k * depth);
    }
}

// ---- few pixels ----
//
// Where few tiles share a panel, packing all filters up front took 15% of the time (7x7 pixels, batch 4), most of it for
// writing them to memory and reading them again. Here a thread packs one panel, multiplies all tiles with it and forgets it.

constexpr int64_t few_pixels = 256;

XB_INLINE bool has_few_pixels(const PointwiseJob& job, const Team& team) {
    return job.images * job.lines * job.pixels <= few_pixels && pointwise_groups(job) > team.size;
}

// Asks for part `part` of `parts` of a panel's filters. They lie in runs of one channel: of the inputs' or the outputs'.
XB_INLINE void prefetch_panel(const FilterView& w, const Panel& panel, int part, int parts) {
    const bool by_output = w.in_step == 1;
    const int64_t ins = w.ins - panel.b * block, outs = w.outs - panel.k, depth = panel.depth * block;
    const int64_t channels = ins < depth ? ins : depth, width = outs < panel_width ? outs : int64_t{panel_width};
    const int64_t runs = by_output ? width : channels, run = by_output ? channels : width;
    const int64_t step = by_output ? w.out_step : w.in_step;
    const float* first = w.data + panel.k * w.out_step + panel.b * block * w.in_step;
    for (int64_t i = runs * part / parts; i < runs * (part + 1) / parts; ++i)
        for (int64_t j = 0; j < run; j += block) __builtin_prefetch(first + i * step + j, 0, 2);
}

// In `space`, where all packed filters would lie, each thread has its panel.
static void pointwise_by_panels(const PointwiseJob& job, const PointwiseCut (&cuts)[2], const FilterView& w, float* space,
                                const Team& team) {
    const int64_t padded = div_up(job.in_c, block) * block, chunks = div_up(job.in_c, depth_chunk);
    float* weights = space + team.rank * (padded < depth_chunk ? padded : depth_chunk) * panel_width;
    PointwisePlace places[few_pixels];
    const int32_t tiles = cuts[0].tiles, count = static_cast<int32_t>(job.images * job.lines) * tiles;
    for (int32_t i = 0; i < count; ++i) places[i] = pointwise_place(job, tiles, i);
    const Share groups = share_of(pointwise_groups(job), team);
    const int64_t mine = groups.end - groups.begin, tasks = mine * chunks;
    // What is larger comes by once: the inputs, or the sums in the outputs.
    const bool chunk_by_chunk = job.in_c > job.out_c;
    const auto panel_of = [&](int64_t task) {
        const int64_t chunk = chunk_by_chunk ? task / mine : task % chunks;
        const int64_t group = groups.begin + (chunk_by_chunk ? task % mine : task / chunks);
        return panel_at(job, chunk * depth_chunk / block, group * panel_width);
    };
    for (int64_t task = 0; task < tasks; ++task) {
        const Panel panel = panel_of(task);
        pack_panel(w, panel.k, panel.b * block, weights);
        const bool goes_on = task + 1 < tasks;
        const Panel next = panel_of(goes_on ? task + 1 : task);
        for (int32_t i = 0; i < count; ++i) {
            if (goes_on) prefetch_panel(w, next, i, count);
            multiply_panel(job, cuts, panel, weights, places[i]);
        }
    }
}

XB_INLINE int64_t pointwise_packed_size(int64_t outs, int64_t ins) {
    return div_up(outs, block) * block * div_up(ins, block) * block;
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
