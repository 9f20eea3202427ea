// The tiles of Winograd's forward pass (winograd_forward.h): how images are cut into them, how a unit's inputs are
// transformed, and its products, point by point, in the register tiles of blocked_tile.h.
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

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
