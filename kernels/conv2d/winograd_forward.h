// Winograd's forward pass and dgrad over nchw16c. Output images are cut into tiles of m x m; a unit of work is a few dozen
// tiles, counted over images, rows and columns, whose inputs are transformed for all input channels into the thread's
// workspace (second-level cache). Then for one group of output channels after the other: n*n products of matrices (tiles x
// channels) (channels x group), of 14 tiles x 32 channels in registers, and the transform of the results into the output.
//   transformed filters  {group}{point}{input channel}{channel of the group}, once a call, shared
//   transformed inputs   {input block}{point}{tile}{16}, a thread's own
//   products             {block of the group}{point}{tile}{16}, a thread's own
// An output's sum goes over ascending channels whatever the size of a unit: the same bits for any team.
#pragma once

#include "kernels/conv2d/blocked_forward.h"
#include "kernels/conv2d/winograd_transforms.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

// One more than a multiple of two lines apart, the points of a tile do not compete for the same set of the first-level
// cache.
constexpr int unit_tiles = 28;
constexpr int group_blocks = group_width > block ? group_width / block : 1;

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

struct WinogradJob {
    Blocks in, out;
    int32_t pad_h, pad_w;
    TileGrid grid;
    const float *filters, *bias;  // transformed; padded to whole groups
    bool relu;
    float *inputs, *products;  // this thread's
};

template <class F>
XB_INLINE int64_t unit_inputs_size(int64_t channels) {
    return div_up(channels, block) * F::n * F::n * unit_tiles * block;
}
template <class F>
XB_INLINE int64_t unit_products_size() {
    return int64_t{group_blocks} * F::n * F::n * unit_tiles * block;
}

// The size x size pixels of one block of channels from (row, column) on, which may lie outside of the image: where they are,
// or a copy with zeros outside.
struct Patch {
    const float* data;
    int64_t row;  // floats between rows
};

template <int size>
XB_INLINE Patch patch_of(const Blocks& image, const float* plane, int32_t row, int32_t column, float* copy) {
    const int32_t h = static_cast<int32_t>(image.h), w = static_cast<int32_t>(image.w);
    if (row >= 0 && column >= 0 && row + size <= h && column + size <= w)
        return Patch{plane + row * image.row + int64_t{column} * block, image.row};
    for (int32_t i = 0; i < size; ++i) {
        const bool inside = row + i >= 0 && row + i < h;
        const float* from = plane + (row + i) * image.row;
        for (int32_t j = 0; j < size; ++j) {
            const int32_t at = column + j;
            for (int lane = 0; lane < block; lane += vf_width)
                vf_store(copy + (i * size + j) * block + lane,
                         inside && at >= 0 && at < w ? vf_load(from + int64_t{at} * block + lane) : vf_zero());
        }
    }
    return Patch{copy, size * block};
}

// All points of one block of channels of one tile of the input; channels: those that are not padding.
template <class F>
XB_INLINE void transform_input(const Patch& patch, int32_t channels, float* to) {
    for (int lane = 0; lane < channels; lane += vf_width)
        winograd_input<F>(patch.data + lane, patch.row, block, to + lane, unit_tiles * block);
}

XB_INLINE int32_t channels_of_block(int64_t channels, int64_t b) {
    return channels - b * block < block ? static_cast<int32_t>(channels - b * block) : block;
}

template <class F>
static void transform_inputs(const WinogradJob& job, int64_t first, int32_t tiles) {
    alignas(64) float copy[F::n * F::n * block];
    const int64_t blocks = div_up(job.in.c, block);
    for (int32_t t = 0; t < tiles; ++t) {
        const TilePlace at = tile_place<F>(job.grid, first + t);
        const float* plane = job.in.data + at.n * job.in.image;
        float* to = job.inputs + int64_t{t} * block;
        for (int64_t b = 0; b < blocks; ++b, plane += job.in.plane, to += F::n * F::n * unit_tiles * block)
            transform_input<F>(patch_of<F::n>(job.in, plane, at.row - job.pad_h, at.column - job.pad_w, copy),
                               channels_of_block(job.in.c, b), to);
    }
}

// products[t][k] = sum over c of inputs[t][c] filters[c][k] for TT tiles and one point.
template <int TT, int KV>
static void multiply_point(const float* inputs, int64_t inputs_block, int64_t channels, const float* filters,
                           float* products, int64_t products_block) {
    VF acc[TT][KV];
#pragma GCC unroll 16
    for (int t = 0; t < TT; ++t)
#pragma GCC unroll 2
        for (int v = 0; v < KV; ++v) acc[t][v] = vf_zero();
    for (int64_t c = 0; c < channels; c += block, inputs += inputs_block, filters += block * KV * vf_width)
        multiply_inside<TT, KV, block, 0, 0>(acc, inputs, filters,
                                             channels - c < block ? static_cast<int32_t>(channels - c) : block);
#pragma GCC unroll 2
    for (int v = 0; v < KV; ++v) {
        float* to = products + v * vf_width / block * products_block + v * vf_width % block;
#pragma GCC unroll 16
        for (int t = 0; t < TT; ++t) vf_store(to + t * block, acc[t][v]);
    }
}

typedef void (*MultiplyPoint)(const float*, int64_t, int64_t, const float*, float*, int64_t);

template <int TT>
static MultiplyPoint find_multiply_point(int tiles, int vectors) {
    if constexpr (TT == 0) {
        return nullptr;
    } else {
        if (tiles < TT) return find_multiply_point<TT - 1>(tiles, vectors);
        return vectors == 1 ? multiply_point<TT, 1> : multiply_point<TT, 2>;
    }
}

// The products of all points for `tiles` tiles, in equal parts of at most tile_pixels.
template <class F>
static void multiply_points(const WinogradJob& job, const float* filters, int32_t tiles, int vectors) {
    constexpr int64_t point_step = unit_tiles * block, block_step = F::n * F::n * point_step;
    const int32_t parts = static_cast<int32_t>(div_up(tiles, tile_pixels)), wide = tiles / parts + (tiles % parts != 0);
    const MultiplyPoint multiply[2] = {find_multiply_point<tile_pixels>(wide, vectors),
                                       find_multiply_point<tile_pixels>(wide - 1, vectors)};
    for (int point = 0; point < F::n * F::n; ++point, filters += job.in.c * vectors * vf_width)
        for (int32_t part = 0; part < parts; ++part) {
            const int32_t t = tiles * part / parts, count = tiles * (part + 1) / parts - t;
            const int64_t at = point * point_step + int64_t{t} * block;
            multiply[wide - count](job.inputs + at, block_step, job.in.c, filters, job.products + at, block_step);
        }
}

// The outputs of `tiles` tiles for the channels channel .. channel + vf_width - 1, whose products are given.
template <class F>
static void transform_outputs(const WinogradJob& job, int64_t first, int32_t tiles, int64_t channel, const float* products) {
    const VF bias = vf_load(job.bias + channel);
    float* plane = job.out.data + channel / block * job.out.plane + channel % block;
    for (int32_t t = 0; t < tiles; ++t, products += block) {
        const TilePlace at = tile_place<F>(job.grid, first + t);
        VF y[F::m][F::m];
        winograd_output<F>(products, unit_tiles * block, y);
#pragma GCC unroll 4
        for (int i = 0; i < F::m; ++i)
#pragma GCC unroll 4
            for (int j = 0; j < F::m; ++j) {
                y[i][j] += bias;
                if (job.relu) y[i][j] = vf_relu(y[i][j]);
            }
        float* to = plane + at.n * job.out.image + at.row * job.out.row + int64_t{at.column} * block;
        const int64_t rows = job.out.h - at.row, columns = job.out.w - at.column;
#pragma GCC unroll 4
        for (int i = 0; i < F::m; ++i)
#pragma GCC unroll 4
            for (int j = 0; j < F::m; ++j)
                if (i < rows && j < columns) vf_store(to + i * job.out.row + j * block, y[i][j]);
    }
}

// Each thread takes units of tiles.
template <class F>
static void winograd_convolution(const WinogradJob& job, const Team& team) {
    const int64_t tiles = job.in.n * job.grid.high * job.grid.wide;
    const int64_t channels = div_up(job.out.c, block) * block, group_size = F::n * F::n * job.in.c * group_width;
    const Share mine = share_of(tiles, team);
    for (int64_t first = mine.begin; first < mine.end; first += unit_tiles) {
        const int32_t count = static_cast<int32_t>(mine.end - first < unit_tiles ? mine.end - first : unit_tiles);
        transform_inputs<F>(job, first, count);
        const float* filters = job.filters;
        for (int64_t channel = 0; channel < channels; channel += group_width, filters += group_size) {
            const int vectors = group_vectors_at(channel, job.out.c);
            multiply_points<F>(job, filters, count, vectors);
            for (int v = 0; v < vectors; ++v)
                transform_outputs<F>(
                    job, first, count, channel + v * vf_width,
                    job.products + v * vf_width / block * (F::n * F::n * unit_tiles * block) + v * vf_width % block);
        }
    }
}

template <class F>
XB_INLINE int64_t transformed_filters_size(int64_t outs, int64_t ins) {
    return packed_size(outs, ins, F::n * F::n);
}

// turned: by 180 degrees, for dgrad. Output channels past the last are zero.
template <class F>
static void transform_filters(const FilterView& w, bool turned, float* transformed, const Team& team) {
    const int64_t groups = div_up(div_up(w.outs, block) * block, group_width);
    const Share mine = share_of(groups * w.ins, team);
    for (int64_t task = mine.begin; task < mine.end; ++task) {
        const int64_t channel = task / w.ins * group_width, c = task % w.ins;
        const int width = group_vectors_at(channel, w.outs) * vf_width;
        float* to = transformed + channel * w.ins * F::n * F::n + c * width;
        for (int lane = 0; lane < width; lane += vf_width) {
            const int64_t k = channel + lane, left = w.outs - k;
            const int lanes = left < 0 ? 0 : left < vf_width ? static_cast<int>(left) : vf_width;
            VF taps[3][3];
            for (int tap = 0; tap < 9; ++tap)
                taps[tap / 3][tap % 3] = vf_load_strided(w.data + k * w.out_step + c * w.in_step + (turned ? 8 - tap : tap),
                                                         w.out_step, 0, lanes);
            winograd_filter<F>(taps, to + lane, w.ins * width);
        }
    }
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
