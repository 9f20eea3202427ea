// Winograd's forward pass and dgrad over nchw16c. Output images are cut into tiles of m x m; a unit of work is a few dozen
// tiles, counted over images, rows and columns, whose inputs are transformed for all input channels into the thread's
// workspace (second-level cache). Then for one group of output channels after the other: n*n products of matrices (tiles x
// channels) (channels x group), 14 tiles x 32 channels (AVX2: 5 x 16) in registers, and the transform of the results into
// the output.
//   transformed filters  {group}{point}{input channel}{channel of the group}, once a call, shared (see "many channels")
//   transformed inputs   {input block}{point}{tile}{16}, a thread's own
//   products             {block of the group}{point}{tile}{16}, a thread's own
// An output's sum goes over ascending channels whatever the size of a unit: the same bits for any team.
#pragma once

#include "kernels/conv2d/direct/direct_blocked_forward.h"
#include "kernels/conv2d/winograd/winograd_transforms.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

// The largest error in the tests is 28 eps of sum |a||b| for winograd43 (portable, without fused multiply-adds) and 3 for
// winograd23, where 8 are allowed to a direct sum; with a margin below two.
constexpr double growth43 = 6, growth23 = 0.75;

// 28 or 30 lines apart, the points of a tile do not compete for the same sets of the first-level cache.
constexpr int unit_tiles = vf_registers == 32 ? 28 : 30;
// Tiles in registers, times 2 vectors of channels. With AVX2 5: the inputs of 6 would compete for a bank of the first-level
// cache (blocked_tile.h), and 3 x 4 vectors were 8% slower with 32 channels. A single vector of channels needs 10 to hide
// the latency of its sums.
constexpr int product_tiles_of(int vectors) { return vf_registers == 32 ? 14 : vectors == 1 ? 10 : 5; }
constexpr int group_blocks = group_width > block ? group_width / block : 1;

// The transformed inputs and products of a unit: floats from a point to the next, and to the next block of channels.
constexpr int64_t unit_point = unit_tiles * block;
template <class F>
constexpr int64_t unit_block() {
    return F::n * F::n * unit_point;
}

// Where channel c of such a space begins.
template <class F>
constexpr int64_t unit_channel(int64_t c) {
    return c / block * unit_block<F>() + c % block;
}

// With few channels the transforms take longer than the products that they save, and so do tiles that are mostly outside.
XB_INLINE bool winograd_pays(int64_t c, int64_t k, int64_t h, int64_t w) {
    const int64_t tiles = div_up(h, F43::m) * div_up(w, F43::m);
    return c >= 8 && k >= 8 && h * w * 2 >= tiles * F43::m * F43::m;
}

XB_INLINE Support winograd_supports(const Conv2d& conv, const KernelTensor& a, const KernelTensor& b) {
    if (conv.groups != 1) return refused("groups");
    if (conv.r != 3 || conv.s != 3) return refused("filter size");
    if (conv.stride_h != 1 || conv.stride_w != 1) return refused("stride");
    if (conv.dilation_h != 1 || conv.dilation_w != 1) return refused("dilation");
    if (conv.pad_h > 2 || conv.pad_w > 2) return refused("padding");
    return both(dense_f32(a, Layout::nchw16c), dense_f32(b, Layout::nchw16c));
}

// How an image is cut into tiles of m x m.
struct TileGrid {
    int32_t high, wide;  // tiles of an image
};

template <class F>
XB_INLINE TileGrid tile_grid(const Blocks& tiled) {
    return TileGrid{static_cast<int32_t>(div_up(tiled.h, F::m)), static_cast<int32_t>(div_up(tiled.w, F::m))};
}

// The first row and column of a tile.
struct TilePlace {
    int64_t n;
    int32_t row, column;
};

template <class F>
XB_INLINE TilePlace tile_place(const TileGrid& grid, int64_t tile) {
    const int64_t each = int64_t{grid.high} * grid.wide, n = tile / each;
    const int32_t at = static_cast<int32_t>(tile - n * each);
    return TilePlace{n, at / grid.wide * F::m, at % grid.wide * F::m};
}

// Asks for the m x m pixels of a tile, of blocks first .. first+blocks-1. The hardware does not foresee rows that are so
// short, and a unit's products leave it time: called among them for what comes next.
template <class F>
XB_INLINE void prefetch_tile(const Blocks& image, int64_t first, int64_t blocks, const TilePlace& at) {
    int64_t rows = image.h - at.row, columns = image.w - at.column;
    if (rows > F::m) rows = F::m;
    if (columns > F::m) columns = F::m;
    const float* corner = image.data + at.n * image.image + at.row * image.row + int64_t{at.column} * block;
    for (int64_t b = first; b < first + blocks; ++b)
        for (int64_t i = 0; i < rows; ++i)
            for (int64_t j = 0; j < columns; ++j)
                __builtin_prefetch(corner + b * image.plane + i * image.row + j * block, 0, 2);
}

// The vectors of a group that hold channels: others, of the padding, are not multiplied.
XB_INLINE int used_vectors_at(int64_t channel, int64_t channels) {
    const int64_t left = div_up(channels - channel, vf_width);
    return left < 0 ? 0 : left < group_vectors ? static_cast<int>(left) : group_vectors;
}

struct WinogradJob {
    Blocks in, out;
    int32_t pad_h, pad_w;
    TileGrid grid;
    float* filters;     // transformed, once they are
    const float* bias;  // padded to whole groups
    bool relu;
    float *inputs, *products;  // this thread's
};

template <class F>
XB_INLINE int64_t unit_inputs_size(int64_t channels) {
    return div_up(channels, block) * unit_block<F>();
}
template <class F>
XB_INLINE int64_t unit_products_size() {
    return group_blocks * unit_block<F>();
}

const float no_pixels[F43::n * block] = {};

// The size x size pixels of one block of channels from some row and column on, which may lie outside of the image: zeros.
template <int size>
struct Window {
    const float* row[size];  // of the first column
    uint32_t inside;         // bit j: column j

    // Column j of the channels from `lane` on.
    __attribute__((always_inline)) void load(int j, int lane, VF (&d)[size]) const {
        const bool there = inside >> j & 1;
#pragma GCC unroll 6
        for (int i = 0; i < size; ++i) d[i] = there ? vf_load(row[i] + j * block + lane) : vf_zero();
    }
};

template <int size>
XB_INLINE Window<size> window_of(const Blocks& image, const float* plane, int32_t row, int32_t column) {
    Window<size> window;
    const int32_t h = static_cast<int32_t>(image.h), w = static_cast<int32_t>(image.w);
    const float* first = plane + row * image.row + int64_t{column} * block;
    for (int32_t i = 0; i < size; ++i, first += image.row) window.row[i] = row + i >= 0 && row + i < h ? first : no_pixels;
    const int32_t left = column < 0 ? -column : 0, right = column + size > w ? column + size - w : 0;
    window.inside = left + right >= size ? 0 : ((1u << (size - right)) - 1) >> left << left;
    return window;
}

XB_INLINE int32_t channels_of_block(int64_t channels, int64_t b) {
    return channels - b * block < block ? static_cast<int32_t>(channels - b * block) : block;
}

// Tiles that are worked on together, and those that come next.
struct Unit {
    int32_t tiles, next_tiles;
    TilePlace at[unit_tiles], next[unit_tiles];
};

template <class F>
XB_INLINE int32_t place_tiles(const TileGrid& grid, int64_t first, int64_t end, TilePlace* at) {
    const int32_t tiles = end - first < unit_tiles ? static_cast<int32_t>(end - first) : unit_tiles;
    for (int32_t t = 0; t < tiles; ++t) at[t] = tile_place<F>(grid, first + t);
    return tiles < 0 ? 0 : tiles;
}

// Block b of the input channels, of all tiles of a unit whose inputs lie at `inputs`. Channels of the padding are left out.
template <class F>
static void transform_input_block(const WinogradJob& job, const Unit& unit, int64_t b, float* inputs) {
    const int32_t channels = channels_of_block(job.in.c, b);
    float* to = inputs + b * unit_block<F>();
    for (int32_t t = 0; t < unit.tiles; ++t, to += block) {
        const TilePlace& at = unit.at[t];
        const float* plane = job.in.data + at.n * job.in.image + b * job.in.plane;
        const auto window = window_of<F::n>(job.in, plane, at.row - job.pad_h, at.column - job.pad_w);
        for (int32_t lane = 0; lane < channels; lane += vf_width)
            winograd_input<F>([&](int j, VF(&d)[F::n]) { window.load(j, lane, d); }, to + lane, unit_point);
    }
}

template <class F>
static void transform_inputs(const WinogradJob& job, const Unit& unit) {
    for (int64_t b = 0; b < div_up(job.in.c, block); ++b) transform_input_block<F>(job, unit, b, job.inputs);
}

// products[t][k] = sum over c of inputs[t][c] filters[c][k] for `parts` times TT tiles and one point; go_on: added to what
// is there.
template <class F, int TT, int KV>
static void multiply_point(const float* inputs, int64_t channels, const float* filters, float* products, bool go_on,
                           int32_t parts) {
    for (; parts > 0; --parts, inputs += TT * block, products += TT * block) {
        VF acc[TT][KV];
#pragma GCC unroll 4
        for (int v = 0; v < KV; ++v)
#pragma GCC unroll 16
            for (int t = 0; t < TT; ++t)
                acc[t][v] = go_on ? vf_load(products + unit_channel<F>(v * vf_width) + t * block) : vf_zero();
        const float *from = inputs, *w = filters;
        for (int64_t c = 0; c < channels; c += block, from += unit_block<F>(), w += block * KV * vf_width)
            multiply_inside<TT, KV, block, 0, 0>(acc, from, w,
                                                 channels - c < block ? static_cast<int32_t>(channels - c) : block);
#pragma GCC unroll 4
        for (int v = 0; v < KV; ++v)
#pragma GCC unroll 16
            for (int t = 0; t < TT; ++t) vf_store(products + unit_channel<F>(v * vf_width) + t * block, acc[t][v]);
    }
}

typedef void (*MultiplyPoint)(const float*, int64_t, const float*, float*, bool, int32_t);

template <class F, int KV, int TT = product_tiles_of(KV)>
static MultiplyPoint find_multiply_point(int32_t tiles) {
    if constexpr (TT == 0) {
        return nullptr;
    } else {
        if (tiles < TT) return find_multiply_point<F, KV, TT - 1>(tiles);
        return multiply_point<F, TT, KV>;
    }
}

// While the products of a point are computed: the outputs of some of the unit's tiles, and before the last group of channels
// the inputs of some of the next unit's.
template <class F>
XB_INLINE void prefetch_share(const WinogradJob& job, const Unit& unit, int64_t channel, int point) {
    constexpr int points = F::n * F::n;
    const int64_t out_blocks = div_up(job.out.c, block), b = channel / block;
    const int64_t blocks = out_blocks - b < group_blocks ? out_blocks - b : group_blocks;
    for (int32_t t = unit.tiles * point / points; job.out.data && t < unit.tiles * (point + 1) / points; ++t)
        prefetch_tile<F>(job.out, b, blocks, unit.at[t]);
    if (channel + group_width < job.out.c) return;
    for (int32_t t = unit.next_tiles * point / points; t < unit.next_tiles * (point + 1) / points; ++t)
        prefetch_tile<F>(job.in, 0, div_up(job.in.c, block), unit.next[t]);
}

// A unit's tiles in equal parts, and the functions for them.
typedef RowCut<MultiplyPoint> UnitCut;
template <class F>
XB_INLINE UnitCut cut_unit(const Unit& unit, int vectors) {
    return cut_row(unit.tiles, product_tiles_of(vectors), [&](int32_t count) {
        return vectors == 1 ? find_multiply_point<F, 1>(count) : find_multiply_point<F, 2>(count);
    });
}

// The products of one point for all tiles of a unit: the wider parts first.
XB_INLINE void multiply_unit(const Unit& unit, const UnitCut& cut, const float* inputs, int64_t channels,
                             const float* filters, float* products, bool go_on) {
    const int32_t wide_parts = unit.tiles - cut.tiles * (cut.wide - 1);
    cut.tile[0](inputs, channels, filters, products, go_on, wide_parts);
    if (wide_parts == cut.tiles) return;
    const int64_t at = int64_t{wide_parts} * cut.wide * block;
    cut.tile[1](inputs + at, channels, filters, products + at, go_on, cut.tiles - wide_parts);
}

// The products of all points of a unit for one group of channels.
template <class F>
static void multiply_points(const WinogradJob& job, const Unit& unit, const float* filters, int64_t channel) {
    const int vectors = used_vectors_at(channel, job.out.c);
    const UnitCut cut = cut_unit<F>(unit, vectors);
    for (int point = 0; point < F::n * F::n; ++point, filters += job.in.c * vectors * vf_width) {
        prefetch_share<F>(job, unit, channel, point);
        multiply_unit(unit, cut, job.inputs + point * unit_point, job.in.c, filters, job.products + point * unit_point,
                      false);
    }
}

// What becomes of the outputs of a tile for vf_width channels, y[i][j] of pixel (row + i, column + j): here they are stored.
template <class F>
struct StoreTile {
    Blocks out;  // a copy, which stores cannot change: no load of a size is repeated after them
    __attribute__((always_inline)) void operator()(const TilePlace& at, int64_t channel, const VF (&y)[F::m][F::m]) const {
        const int64_t rows = out.h - at.row, columns = out.w - at.column, step = out.row;
        float* to = out.data + at.n * out.image + channel / block * out.plane + channel % block + at.row * step +
                    int64_t{at.column} * block;
        if (rows >= F::m && columns >= F::m) {
#pragma GCC unroll 4
            for (int i = 0; i < F::m; ++i, to += step)
#pragma GCC unroll 4
                for (int j = 0; j < F::m; ++j) vf_store(to + j * block, y[i][j]);
            return;
        }
#pragma GCC unroll 4
        for (int i = 0; i < F::m; ++i)
#pragma GCC unroll 4
            for (int j = 0; j < F::m; ++j)
                if (i < rows && j < columns) vf_store(to + i * step + j * block, y[i][j]);
    }
};

// The outputs of a unit for the channels channel .. channel + vf_width - 1, whose products are given.
template <class F, class Finish>
static void transform_outputs(const WinogradJob& job, const Unit& unit, int64_t channel, const float* products,
                              const Finish& finish) {
    const VF bias = vf_load(job.bias + channel);
    for (int32_t t = 0; t < unit.tiles; ++t, products += block) {
        const TilePlace& at = unit.at[t];
        VF y[F::m][F::m];
        winograd_output<F>(products, unit_point, y);
#pragma GCC unroll 4
        for (int i = 0; i < F::m; ++i)
#pragma GCC unroll 4
            for (int j = 0; j < F::m; ++j) {
                y[i][j] += bias;
                if (job.relu) y[i][j] = vf_relu(y[i][j]);
            }
        finish(at, channel, y);
    }
}

// The same for channels of the padding.
template <class F, class Finish>
static void zero_outputs(const Unit& unit, int64_t channel, const Finish& finish) {
    VF y[F::m][F::m];
    for (int i = 0; i < F::m; ++i)
        for (int j = 0; j < F::m; ++j) y[i][j] = vf_zero();
    for (int32_t t = 0; t < unit.tiles; ++t) finish(unit.at[t], channel, y);
}

// The tiles mine.begin .. mine.end-1 of all images.
template <class F, class Finish>
static void winograd_tiles(const WinogradJob& job, const Share& mine, const Finish& finish) {
    const int64_t channels = div_up(job.out.c, block) * block, group_size = F::n * F::n * job.in.c * group_width;
    Unit unit;
    for (int64_t first = mine.begin; first < mine.end; first += unit_tiles) {
        unit.tiles = place_tiles<F>(job.grid, first, mine.end, unit.at);
        unit.next_tiles = place_tiles<F>(job.grid, first + unit_tiles, mine.end, unit.next);
        transform_inputs<F>(job, unit);
        const float* filters = job.filters;
        for (int64_t channel = 0; channel < channels; channel += group_width, filters += group_size) {
            const int used = used_vectors_at(channel, job.out.c) * vf_width;
            if (used > 0) multiply_points<F>(job, unit, filters, channel);
            for (int lane = used; lane < group_vectors_at(channel, job.out.c) * vf_width; lane += vf_width)
                zero_outputs<F>(unit, channel + lane, finish);
            for (int lane = 0; lane < used; lane += vf_width)
                transform_outputs<F>(job, unit, channel + lane, job.products + unit_channel<F>(lane), finish);
        }
    }
}

// Each thread takes a run of tiles.
template <class F>
static void winograd_convolution(const WinogradJob& job, const Team& team) {
    winograd_tiles<F>(job, share_of(job.in.n * job.grid.high * job.grid.wide, team), StoreTile<F>{job.out});
}

// Groups of output channels.
XB_INLINE int64_t winograd_groups(int64_t outs) { return div_up(div_up(outs, block) * block, group_width); }

template <class F>
XB_INLINE int64_t transformed_filters_size(int64_t outs, int64_t ins) {
    return winograd_groups(outs) * group_width * ins * F::n * F::n;
}

// The filters from input channel c to the outputs k .. k + vf_width - 1; those past the last are zero. turned: by 180
// degrees, for dgrad. step: floats between points.
template <class F>
XB_INLINE void transform_filter(const FilterView& w, bool turned, int64_t k, int64_t c, float* to, int64_t step) {
    const int64_t left = w.outs - k;
    const int lanes = left < 0 ? 0 : left < vf_width ? static_cast<int>(left) : vf_width;
    VF taps[3][3];
    for (int j = 0; j < 9; j += vf_width) {
        VF column[vf_width];
        const int count = 9 - j < vf_width ? 9 - j : vf_width;
        vf_load_transposed(column, w.data + k * w.out_step + c * w.in_step + j, w.out_step, lanes, count);
        for (int i = 0; i < count; ++i) {
            const int tap = turned ? 8 - j - i : j + i;
            taps[tap / 3][tap % 3] = column[i];
        }
    }
    winograd_filter<F>(taps, to, step);
}

template <class F>
static void transform_filters(const FilterView& w, bool turned, float* transformed, const Team& team) {
    const Share mine = share_of(winograd_groups(w.outs) * w.ins, team);
    for (int64_t task = mine.begin; task < mine.end; ++task) {
        const int64_t channel = task / w.ins * group_width, c = task % w.ins;
        const int width = used_vectors_at(channel, w.outs) * vf_width;
        float* to = transformed + channel * w.ins * F::n * F::n + c * width;
        for (int lane = 0; lane < width; lane += vf_width)
            transform_filter<F>(w, turned, channel + lane, c, to + lane, w.ins * width);
    }
}

// The workspace of forward and dgrad: the padded bias, the transformed filters, for each thread its inputs and products.
template <class F>
XB_INLINE int64_t winograd_floats(int64_t outs, int64_t ins, int threads) {
    return padded_bias_size(outs) + transformed_filters_size<F>(outs, ins) +
           threads * (unit_inputs_size<F>(ins) + unit_products_size<F>());
}

// Fills the workspace's bias (null: zeros); its filters are not there yet. pad: of the convolution that is computed, which
// for dgrad is another one. Without `out.data` only its size counts.
template <class F>
static WinogradJob untransformed_job(const Blocks& in, const Blocks& out, const FilterView& filters, const float* given,
                                     int32_t pad_h, int32_t pad_w, bool relu, float* workspace, const Team& team) {
    float *bias = workspace, *transformed = bias + padded_bias_size(filters.outs);
    float* mine = transformed + transformed_filters_size<F>(filters.outs, filters.ins) +
                  team.rank * (unit_inputs_size<F>(filters.ins) + unit_products_size<F>());
    if (team.rank == 0)
        for (int64_t k = 0; k < padded_bias_size(filters.outs); ++k) bias[k] = given && k < filters.outs ? given[k] : 0.0f;
    return {in,          out,  pad_h, pad_w, tile_grid<F>(out),
            transformed, bias, relu,  mine,  mine + unit_inputs_size<F>(filters.ins)};
}

// With its filters; ends with a barrier.
template <class F>
static WinogradJob winograd_job(const Blocks& in, const Blocks& out, const FilterView& filters, bool turned,
                                const float* bias, int32_t pad_h, int32_t pad_w, bool relu, float* workspace,
                                const Team& team) {
    const WinogradJob job = untransformed_job<F>(in, out, filters, bias, pad_h, pad_w, relu, workspace, team);
    transform_filters<F>(filters, turned, job.filters, team);
    team.barrier();
    return job;
}

// ---- many channels ----
//
// Transformed filters are four times as large as the filters. Where no cache holds them they are made group by group and a
// chunk of input channels at a time, multiplied with a run of units while they are in the second-level cache, and forgotten.
// The sums wait in the products meanwhile, so that their order is the same. The inputs of a run are shared.
//   transformed inputs   {unit}{input block}{point}{tile}{16}
//   transformed filters  {point}{channel of the chunk}{channel of the group}, a thread's own
//   products             {unit}{block of the group}{point}{tile}{16}, a thread's own

constexpr int run_units = 8, filters_chunk = 64;
constexpr int64_t large_filters = int64_t{4} << 20;  // bytes, transformed

// Floats between two points; a line more than they need, or they would compete for one set of the first-level cache.
constexpr int64_t chunk_step = int64_t{filters_chunk} * group_width + block;

struct RunSizes {
    int64_t units;                      // of a run, at most
    int64_t inputs, filters, products;  // floats: of a unit; of a thread; of a thread
};

// As many units as fit where the transformed filters would lie; none: make all filters first.
template <class F>
XB_INLINE RunSizes run_sizes(const WinogradJob& job, const Team& team) {
    const int64_t room = transformed_filters_size<F>(job.out.c, job.in.c);
    const int64_t inputs = unit_inputs_size<F>(job.in.c), filters = F::n * F::n * chunk_step;
    int64_t units = div_up(job.in.n * job.grid.high * job.grid.wide, unit_tiles);
    if (units > run_units) units = run_units;
    const int64_t fit = (room - team.size * filters) / (inputs + team.size * unit_products_size<F>());
    if (units > fit) units = fit;
    const bool wins = room * int64_t{sizeof(float)} > large_filters && winograd_groups(job.out.c) >= team.size;
    if (!wins || units < 0) units = 0;
    return {units, inputs, filters, units * unit_products_size<F>()};
}

struct UnitRun {
    int64_t units;
    Unit unit[run_units];
};

// The products of a chunk's channels c .. c + channels - 1 for one group.
template <class F>
static void multiply_chunk(const RunSizes& sizes, const UnitRun& run, const UnitCut* cuts, const float* inputs,
                           const float* filters, float* products, int64_t c, int32_t channels) {
    inputs += unit_channel<F>(c);
    for (int point = 0; point < F::n * F::n; ++point, inputs += unit_point, products += unit_point, filters += chunk_step)
        for (int64_t u = 0; u < run.units; ++u)
            multiply_unit(run.unit[u], cuts[u], inputs + u * sizes.inputs, channels, filters,
                          products + u * unit_products_size<F>(), c > 0);
}

// A run's tiles for the group of output channels from `channel` on.
template <class F>
static void group_of_run(const WinogradJob& job, const FilterView& w, bool turned, const RunSizes& sizes, const UnitRun& run,
                         const float* inputs, float* filters, int64_t channel) {
    const int used = used_vectors_at(channel, job.out.c), width = used * vf_width;
    float* products = filters + sizes.filters;
    UnitCut cuts[run_units];
    for (int64_t u = 0; used > 0 && u < run.units; ++u) cuts[u] = cut_unit<F>(run.unit[u], used);
    for (int64_t c = 0; used > 0 && c < job.in.c; c += filters_chunk) {
        const int32_t channels = job.in.c - c < filters_chunk ? static_cast<int32_t>(job.in.c - c) : filters_chunk;
        for (int lane = 0; lane < width; lane += vf_width)
            for (int32_t i = 0; i < channels; ++i)
                transform_filter<F>(w, turned, channel + lane, c + i, filters + int64_t{i} * width + lane, chunk_step);
        multiply_chunk<F>(sizes, run, cuts, inputs, filters, products, c, channels);
    }
    const StoreTile<F> finish{job.out};
    for (int64_t u = 0; u < run.units; ++u, products += unit_products_size<F>()) {
        for (int lane = width; lane < group_vectors_at(channel, job.out.c) * vf_width; lane += vf_width)
            zero_outputs<F>(run.unit[u], channel + lane, finish);
        for (int lane = 0; lane < width; lane += vf_width)
            transform_outputs<F>(job, run.unit[u], channel + lane, products + unit_channel<F>(lane), finish);
    }
}

// Threads share the blocks of a run's inputs, then the groups.
template <class F>
static void winograd_by_groups(const WinogradJob& job, const FilterView& w, bool turned, const RunSizes& sizes,
                               const Team& team) {
    float *inputs = job.filters, *own = inputs + sizes.units * sizes.inputs + team.rank * (sizes.filters + sizes.products);
    const int64_t tiles = job.in.n * job.grid.high * job.grid.wide, blocks = div_up(job.in.c, block);
    const Share groups = share_of(winograd_groups(job.out.c), team);
    for (int64_t first = 0; first < tiles; first += sizes.units * unit_tiles) {
        UnitRun run;
        const int64_t left = div_up(tiles - first, unit_tiles);
        run.units = left < sizes.units ? left : sizes.units;
        for (int64_t u = 0; u < run.units; ++u)
            run.unit[u].tiles = place_tiles<F>(job.grid, first + u * unit_tiles, tiles, run.unit[u].at);
        if (first > 0) team.barrier();  // nobody reads the last run's inputs any more
        const Share mine = share_of(run.units * blocks, team);
        for (int64_t task = mine.begin; task < mine.end; ++task)
            transform_input_block<F>(job, run.unit[task / blocks], task % blocks, inputs + task / blocks * sizes.inputs);
        team.barrier();  // the inputs are there, and the bias
        for (int64_t g = groups.begin; g < groups.end; ++g)
            group_of_run<F>(job, w, turned, sizes, run, inputs, own, g * group_width);
    }
}

// Forward and dgrad of images that are stored as they come. pad: of the convolution that is computed.
template <class F>
static void winograd_images(const Blocks& in, const Blocks& out, const FilterView& filters, bool turned, const float* bias,
                            int32_t pad_h, int32_t pad_w, bool relu, float* workspace, const Team& team) {
    const WinogradJob job = untransformed_job<F>(in, out, filters, bias, pad_h, pad_w, relu, workspace, team);
    const RunSizes sizes = run_sizes<F>(job, team);
    if (sizes.units > 0) return winograd_by_groups<F>(job, filters, turned, sizes, team);
    transform_filters<F>(filters, turned, job.filters, team);
    team.barrier();
    winograd_convolution<F>(job, team);
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
