// How matrix products on the tensor cores are launched (implicit_gemm.h), by the rows of convolutions and of linear layers.
// Which tile is taken, and whether copies are of 16 bytes, changes no bit: an element's sum runs over K in ascending order
// in each. How K is split does, so it follows from the shapes of an image and of the filters alone.
#pragma once

#include <algorithm>

#include "kernels/conv2d/implicit_gemm/implicit_gemm.h"
#include "kernels/conv2d/implicit_gemm/tiles.h"
#include "kernels/cuda/image_sums.h"
#include "kernels/cuda/row.h"

namespace xbench {

inline Support tensor_core_products(const Problem& problem) {
    const DType products = products_of(problem);
    const bool known = products == DType::bf16 || products == DType::f16 || products == DType::tf32;
    return known ? supported : refused("products");
}

// A kernel in each type of products, and its tile.
struct TiledFunction {
    CudaFunction bf16, f16, tf32;
    int rows, columns, threads, shared_bytes;

    const CudaFunction& in(DType products) const {
        return products == DType::bf16 ? bf16 : products == DType::f16 ? f16 : tf32;
    }
    unsigned tiles(int64_t over_rows, int64_t over_columns) const {
        return blocks_for(over_rows, rows) * blocks_for(over_columns, columns);
    }
};
#define XB_TILED_FUNCTION(variable, name, T, more_bytes)                                \
    inline constexpr TiledFunction variable{{"implicit_gemm_bf16", "xb_" name "_bf16"}, \
                                            {"implicit_gemm_f16", "xb_" name "_f16"},   \
                                            {"implicit_gemm_tf32", "xb_" name "_tf32"}, \
                                            T::rows,                                    \
                                            T::columns,                                 \
                                            T::threads,                                 \
                                            T::ring_bytes + more_bytes};
// A row of the table of an odd product and a pixel of a filter gradient are 16 bytes.
inline constexpr int pixel_tables_bytes = 4 * k_of_stage * 16;
XB_TILED_FUNCTION(gather_wide, "gather_wide", WideTile, 0)
XB_TILED_FUNCTION(gather_medium, "gather_medium", MediumTile, 0)
XB_TILED_FUNCTION(gather_narrow, "gather_narrow", NarrowTile, 0)
XB_TILED_FUNCTION(gather_low, "gather_low", LowestTile, 0)
XB_TILED_FUNCTION(gather_odd, "gather_odd", NarrowTile, NarrowTile::rows * 16)
XB_TILED_FUNCTION(gather_crossed, "gather_crossed", WideTile, 0)
XB_TILED_FUNCTION(gather_crossed_low, "gather_crossed_low", LowestTile, 0)
XB_TILED_FUNCTION(gather_crossed_odd, "gather_crossed_odd", NarrowTile, NarrowTile::rows * 16)
XB_TILED_FUNCTION(filters_wide, "filters_wide", WideTile, pixel_tables_bytes)
XB_TILED_FUNCTION(filters_low, "filters_low", LowTile, pixel_tables_bytes)
XB_TILED_FUNCTION(filters_lowest, "filters_lowest", FewFiltersTile, pixel_tables_bytes)
XB_TILED_FUNCTION(filters_stem, "filters_stem", LowestTile, pixel_tables_bytes)
XB_TILED_FUNCTION(filters_odd, "filters_odd", LowestTile, pixel_tables_bytes)
XB_TILED_FUNCTION(filters_bias, "filters_bias", LowestTile, 0)
#undef XB_TILED_FUNCTION
XB_CUDA_FUNCTION(transpose_filters, filter_order, xb_transpose_filters);
XB_CUDA_FUNCTION(sum_splits, filter_order, xb_sum_splits);
XB_CUDA_FUNCTION(finish_filters, filter_order, xb_finish_filters);

// ---- y, or dx from dy

// {count, channels, taps}, or {count, taps, channels}.
struct FilterMatrix {
    const float* data;
    int32_t count, channels, taps;
    bool channels_inside;
    int64_t elements() const { return int64_t{count} * channels * taps; }
};

// How a product gets its filters: as they are, in the order of the product by way of the workspace, or crossed.
enum class FilterUse { dense, reordered, crossed };

inline FilterUse use_of(const GatherProduct& p, const FilterMatrix& f) {
    const bool few_rows = p.h.result * p.w.result == 1;  // a linear layer: a copy of its filters would cost as much again
    if (p.backward)
        return f.taps == 1 && (few_rows || p.columns > NarrowTile::columns) ? FilterUse::crossed : FilterUse::reordered;
    return f.taps == 1 || f.channels_inside ? FilterUse::dense : FilterUse::reordered;
}

constexpr int32_t k_of_split = 1024, most_pixels_of_split = 64;

// With few pixels an image there are too few tiles for all multiprocessors, and K is long.
inline int32_t splits_of(const GatherProduct& p) {
    const int32_t k = p.h.taps * p.w.taps * p.channels;
    const bool strided = p.backward && p.h.stride * p.w.stride > 1;
    if (strided || p.h.result * p.w.result > most_pixels_of_split || k < 2 * k_of_split) return 1;
    return (k + k_of_split - 1) / k_of_split;
}

inline int64_t product_elements(const GatherProduct& p) { return int64_t{p.images} * p.h.result * p.w.result * p.columns; }
// Each part of a workspace begins at a multiple of 64 bytes.
inline int64_t whole_lines(int64_t floats) { return (floats + 15) / 16 * 16; }

inline size_t gather_workspace(const GatherProduct& p, const FilterMatrix& f) {
    const int32_t splits = splits_of(p);
    const int64_t filters = use_of(p, f) == FilterUse::reordered ? whole_lines(f.elements()) : 0;
    return sizeof(float) * static_cast<size_t>(filters + (splits > 1 ? splits * product_elements(p) : 0));
}

// {columns, taps, K's channels} in `to`.
inline void enqueue_reorder(const GatherProduct& p, const FilterMatrix& f, float* to, CudaQueue& queue) noexcept {
    TransposedFilters t{f.data, to, 0, 0, 0, 0, 0, 0};
    int32_t batch = 1;
    if (!p.backward) {  // {count, channels, taps} -> {count, taps, channels}
        batch = f.count, t.rows = f.channels, t.columns = f.taps;
        t.from_batch = t.to_batch = int64_t{f.channels} * f.taps;
        t.from_row = f.taps, t.to_row = f.channels;
    } else if (!f.channels_inside) {  // {count, channels * taps} -> {channels * taps, count}
        t.rows = f.count, t.columns = f.channels * f.taps;
        t.from_row = t.columns, t.to_row = f.count;
    } else {  // {count, taps, channels} -> {channels, taps, count}
        batch = f.taps, t.rows = f.count, t.columns = f.channels;
        t.from_batch = f.channels, t.from_row = int64_t{f.taps} * f.channels;
        t.to_batch = f.count, t.to_row = int64_t{f.taps} * f.count;
    }
    const Extent blocks{blocks_for(t.columns, 32), blocks_for(t.rows, 32), static_cast<unsigned>(batch)};
    queue.launch(transpose_filters, blocks, {32, 8}, 0, t);
}

inline const TiledFunction& tiled_gather(const GatherProduct& p, FilterUse use) {
    const bool crossed = use == FilterUse::crossed, low = product_elements(p) / p.columns <= 64;
    if (p.channels % 4 != 0 || (crossed && p.columns % 4 != 0) || !are_vectors(p.source, p.filters))
        return crossed ? gather_crossed_odd : gather_odd;
    if (crossed) return low ? gather_crossed_low : gather_crossed;
    if (low) return gather_low;
    return p.columns > 64 ? gather_wide : p.columns > 32 ? gather_medium : gather_narrow;
}

// Everything of the product but filters, split_k, result_vectors and the division is given.
inline void enqueue_gather(GatherProduct p, const FilterMatrix& f, DType products, void* workspace,
                           CudaQueue& queue) noexcept {
    const FilterUse use = use_of(p, f);
    const int32_t splits = splits_of(p);
    auto* scratch = static_cast<float*>(workspace);
    p.filters = f.data;
    if (use == FilterUse::reordered) {
        enqueue_reorder(p, f, scratch, queue);
        p.filters = scratch;
        scratch += whole_lines(f.elements());
    }
    p.by_channels = fast_divide(p.channels);
    p.split_k = splits > 1 ? k_of_split : 0;
    const SplitSum sum{scratch, p.bias, p.result, product_elements(p), splits, p.columns, p.relu};
    if (splits > 1) p.result = scratch;
    p.result_vectors = p.columns % 4 == 0 && are_vectors(p.result);
    const TiledFunction& tiled = tiled_gather(p, use);
    const int32_t over_h = p.backward ? p.h.stride : 1, over_w = p.backward ? p.w.stride : 1;
    const int64_t rows = int64_t{p.images} * blocks_for(p.h.result, over_h) * blocks_for(p.w.result, over_w);
    queue.launch(tiled.in(products), {tiled.tiles(rows, p.columns), static_cast<unsigned>(splits * over_h * over_w)},
                 {static_cast<unsigned>(tiled.threads)}, static_cast<unsigned>(tiled.shared_bytes), p);
    if (splits > 1) queue.launch(sum_splits, {blocks_for(sum.elements, 256)}, {256}, 0, sum);
}

// ---- dw and db

constexpr int32_t least_pixels_of_part = 256, enough_tiles = 16;

// Units and their width. From the shapes of an image and of the filters alone; a leaf is a unit where its tiles are enough,
// or where an image has so few pixels that partial sums of images would be most of what is written.
inline void plan_units(FilterGradient& g, bool bias) {
    const int32_t elements = g.h.taps * g.w.taps * g.channels, pixels = g.h.result * g.w.result;
    g.pitch = (elements + 3) / 4 * 4;
    g.width = int64_t{g.filters} * g.pitch + (bias ? (g.filters + 3) / 4 * 4 : 0);
    const auto tiles = static_cast<int32_t>(blocks_for(g.filters, 64) * blocks_for(elements, 128));
    g.parts = 0, g.part_pixels = 0;
    if (pixels < 64 || tiles >= 2 * enough_tiles) return;
    const int32_t wanted = std::min((enough_tiles + tiles - 1) / tiles, std::max(pixels / least_pixels_of_part, 1));
    g.part_pixels = ((pixels + wanted - 1) / wanted + 31) / 32 * 32;
    g.parts = (pixels + g.part_pixels - 1) / g.part_pixels;
}

inline int64_t units_of(const FilterGradient& g, int64_t images, int32_t leaves) {
    return g.parts > 0 ? images * g.parts : leaves;
}

inline size_t filter_gradient_workspace(FilterGradient g, int64_t images, int32_t leaves, bool bias) {
    plan_units(g, bias);
    return sizeof(float) * static_cast<size_t>(units_of(g, images, leaves) * g.width);
}

inline const TiledFunction& tiled_filters(const FilterGradient& g) {
    const bool gradient = g.filters % 4 == 0 && are_vectors(g.gradient),
               source = g.channels % 4 == 0 && are_vectors(g.source);
    if (!gradient || !source) return gradient ? filters_stem : filters_odd;
    return g.filters > 64 ? filters_wide : g.filters > 32 ? filters_low : filters_lowest;
}

// Everything of the gradient but its units, tiles and divisions is given, and of `finished` its addresses and order.
inline void enqueue_filter_gradient(FilterGradient g, FinishedGradient finished, DType products, int64_t images,
                                    int32_t leaves, void* workspace, CudaQueue& queue) noexcept {
    plan_units(g, finished.bias != nullptr);
    const TiledFunction& tiled = tiled_filters(g);
    const int32_t taps = g.h.taps * g.w.taps;
    g.partial = static_cast<float*>(workspace);
    g.tiles_of_columns = static_cast<int32_t>(blocks_for(int64_t{taps} * g.channels, tiled.columns));
    g.tiles = static_cast<int32_t>(tiled.tiles(g.filters, int64_t{taps} * g.channels));
    g.by_channels = fast_divide(g.channels), g.by_taps_w = fast_divide(g.w.taps);
    g.by_pixels = fast_divide(g.h.result * g.w.result), g.by_width = fast_divide(g.w.result);
    const auto units = static_cast<unsigned>(units_of(g, images, leaves));
    queue.launch(tiled.in(products), {units * static_cast<unsigned>(g.tiles)}, {static_cast<unsigned>(tiled.threads)},
                 static_cast<unsigned>(tiled.shared_bytes), g, queue.step());
    if (finished.bias)
        queue.launch(filters_bias.in(products), {units, blocks_for(g.filters, 32)}, {32, 8}, 0, g, queue.step());
    finished.count = g.filters, finished.channels = g.channels, finished.taps = taps, finished.pitch = g.pitch;
    const Partials<float> partials{g.partial, g.width, std::max(g.parts, 1), g.parts == 0};
    queue.launch(finish_filters, {blocks_for(g.width, sum_columns)}, {sum_columns, sum_lanes}, 0, finished, partials,
                 queue.step());
}

}  // namespace xbench
