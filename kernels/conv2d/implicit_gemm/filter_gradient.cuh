// The filter gradient of implicit_gemm.h: dw{k, (r,s,c)} = dy{pixels, k}^T gathered x{pixels, (r,s,c)}, both with pixels
// outside, so that shared memory holds them rows inside. A thread's filter position and channel stay, pixels go by. Each
// block makes the partial sum of a tile over the pixels of a part of an image, or of all images of a leaf, in ascending
// order, and writes it; image_sums.cuh adds them up in an order that no split of the batch changes. vec 4: copies of 16
// bytes, for channels that are a multiple of 4; vec 1: of 4 bytes, for any.
#pragma once

#include "kernels/conv2d/implicit_gemm/gather_product.cuh"
#include "kernels/kernel.h"

namespace xbench {

// Pixels first .. end-1 of the batch.
struct Pixels {
    int first, end;
};

__device__ __forceinline__ Pixels pixels_of_unit(const FilterGradient& p, const StepContext* step, int unit) {
    const int pixels = p.h.result * p.w.result;
    if (p.parts == 0) {
        if (unit >= step->leaves) return {0, -1};
        return {step->leaf_begin[unit] * pixels, step->leaf_begin[unit + 1] * pixels};
    }
    const int image = unit / p.parts, first = (unit - image * p.parts) * p.part_pixels;
    return {image * pixels + first, image * pixels + min(pixels, first + p.part_pixels)};
}

// Copies 32 pixels of dy for the tile's filters.
template <class T, int vec>
class GradientRows {
    static constexpr int across = T::rows / vec, apart = T::threads / across, copies = k_of_stage / apart;
    static_assert(apart > 0 && copies > 0 && (vec == 1 || apart % 4 == 0));

public:
    __device__ __forceinline__ GradientRows(const FilterGradient& p, Pixels pixels, int first_filter) {
        const int filter = first_filter + threadIdx.x % across * vec, first = threadIdx.x / across;
        at_ = p.gradient + static_cast<int64_t>(pixels.first + first) * p.filters + filter;
        row_ = static_cast<int64_t>(apart) * p.filters;
        left_ = filter < p.filters ? pixels.end - pixels.first - first : 0;
    }
    __device__ __forceinline__ void operator()(uint32_t stage) {
        const int first = threadIdx.x / across, column = threadIdx.x % across;
#pragma unroll
        for (int j = 0; j < copies; ++j, at_ += row_) {
            const int k = first + j * apart;
            const uint32_t to = vec == 4 ? place_rows_inside<T::rows>(first, column) + j * apart * T::rows * 4
                                         : place_rows_inside<T::rows>(k, column / 4) + column % 4 * 4;
            copy_async<4 * vec>(stage + to, at_, j * apart < left_);
        }
        left_ -= k_of_stage;
    }

private:
    const float* at_;
    int64_t row_;
    int left_;
};

// Where a pixel of dy reads x with its first tap: place of channel 0, which may lie outside of the image, and position.
struct alignas(16) PixelOfSource {
    const char* source;
    int h, w;
};
constexpr int pixel_tables = 4, pixel_table_bytes = pixel_tables * k_of_stage * static_cast<int>(sizeof(PixelOfSource));

// Copies what 32 pixels read of x for the tile's filter positions and channels. Where the pixels of a stage read is worked
// out once for the block, by one of its warps and two stages ahead, into a table in shared memory. Two barriers of the main
// loop lie between a table's last use and the next that takes its place.
template <class T, int vec>
class GatheredRows {
    static constexpr int across = T::columns / vec, apart = T::threads / across, copies = k_of_stage / apart;
    static_assert(apart > 0 && copies % 4 == 0 && (vec == 1 || apart % 4 == 0 || apart == 2));

public:
    __device__ __forceinline__ GatheredRows(const FilterGradient& p, Pixels pixels, int first_column, unsigned char* tables)
        : p_(p), tables_(reinterpret_cast<PixelOfSource*>(tables)) {
        const int column = first_column + threadIdx.x % across * vec;
        const int tap = divide(column, p.by_channels), channel = column - tap * p.channels;
        const int tap_h = divide(tap, p.by_taps_w), tap_w = tap - tap_h * p.w.taps;
        h_ = tap_h * p.h.dilation;
        w_ = tap_w * p.w.dilation;
        offset_ = ((h_ * p.w.source + w_) * p.channels + channel) * static_cast<int>(sizeof(float));
        if (tap_h >= p.h.taps) h_ = -(1 << 30);  // misses every image
        pixel_ = pixels.first + threadIdx.x % 32, end_ = pixels.end;
        note_pixels(0);
        note_pixels(1);
        __syncthreads();
    }
    __device__ __forceinline__ void operator()(uint32_t stage) {
        const int first = threadIdx.x / across;
        const uint32_t table = shared_address(tables_ + (step_ % pixel_tables * k_of_stage + first));
        // Four at a time: reads of the table and copies by turns would wait for each other.
#pragma unroll
        for (int quarter = 0; quarter < copies; quarter += 4) {
            uint32_t from[4][4];  // PixelOfSource
#pragma unroll
            for (int j = 0; j < 4; ++j)
                load_vector(from[j], table + (quarter + j) * apart * static_cast<int>(sizeof(PixelOfSource)));
#pragma unroll
            for (int j = 0; j < 4; ++j) copy(stage, quarter + j, from[j]);
        }
        note_pixels(step_ + 2);
        ++step_;
    }

private:
    __device__ __forceinline__ void copy(uint32_t stage, int j, const uint32_t (&from)[4]) const {
        const int first = threadIdx.x / across, column = threadIdx.x % across;
        const bool hit =
            from[2] + h_ < static_cast<unsigned>(p_.h.source) && from[3] + w_ < static_cast<unsigned>(p_.w.source);
        const char* const source = reinterpret_cast<const char*>(static_cast<uint64_t>(from[1]) << 32 | from[0]);
        const uint32_t to =
            vec == 4 ? (place_rows_inside<T::columns>(first, column) ^ (j * apart % 4 << 4)) + j * apart * T::columns * 4
                     : place_rows_inside<T::columns>(first + j * apart, column / 4) + column % 4 * 4;
        copy_async<4 * vec>(stage + T::a_bytes + to, source + offset_, hit);
    }
    __device__ __forceinline__ void note_pixels(int step) {
        if (step % (T::threads / 32) != threadIdx.x / 32) return;
        const int pixel = pixel_ + step * k_of_stage;
        const int image = divide(pixel, p_.by_pixels), rest = pixel - image * static_cast<int>(p_.by_pixels.divisor);
        const int i = divide(rest, p_.by_width), j = rest - i * p_.w.result;
        PixelOfSource at;
        at.h = i * p_.h.stride - p_.h.pad, at.w = j * p_.w.stride - p_.w.pad;
        const int64_t row = static_cast<int64_t>(image * p_.h.source + at.h) * p_.w.source + at.w;
        at.source = reinterpret_cast<const char*>(p_.source + row * p_.channels);
        if (pixel >= end_) at.h = -(1 << 30);
        tables_[step % pixel_tables * k_of_stage + threadIdx.x % 32] = at;
    }

    const FilterGradient& p_;
    PixelOfSource* tables_;
    int h_, w_, offset_, pixel_, end_, step_ = 0;
};

template <Product product, class T, int vec_of_gradient, int vec_of_source>
__device__ __forceinline__ void filter_gradient(const FilterGradient& p, const StepContext* step) {
    extern __shared__ __align__(128) unsigned char ring[];
    const int unit = static_cast<int>(blockIdx.x) / p.tiles, tile = static_cast<int>(blockIdx.x) - unit * p.tiles;
    const int tile_row = tile / p.tiles_of_columns, tile_column = tile - tile_row * p.tiles_of_columns;
    const Pixels pixels = pixels_of_unit(p, step, unit);
    if (pixels.end < pixels.first) return;
    GradientRows<T, vec_of_gradient> gradient(p, pixels, tile_row * T::rows);
    GatheredRows<T, vec_of_source> gathered(p, pixels, tile_column * T::columns, ring + T::ring_bytes);
    Sums<T> sums;
    multiply_all<T, product, false, false>(sums, (pixels.end - pixels.first + k_of_stage - 1) / k_of_stage,
                                           shared_address(ring), [&](uint32_t stage) {
                                               gradient(stage);
                                               gathered(stage);
                                           });
    float* const partial = p.partial + unit * p.width;
    for_each_four<T>(sums, [&](int row, int column, float4 value) {
        row += tile_row * T::rows, column += tile_column * T::columns;
        if (row < p.filters && column < p.pitch)
            *reinterpret_cast<float4*>(partial + static_cast<int64_t>(row) * p.pitch + column) = value;
    });
}

// db: a block of (32, 8) threads adds a unit's pixels for 32 filters, each row of threads every eighth pixel.
template <Product product>
__device__ __forceinline__ void bias_gradient(const FilterGradient& p, const StepContext* step) {
    __shared__ float sums[8][32];
    const int unit = blockIdx.x, filter = blockIdx.y * 32 + threadIdx.x;
    const Pixels pixels = pixels_of_unit(p, step, unit);
    if (pixels.end < pixels.first) return;
    float sum = 0;
    if (filter < p.filters)
        for (int pixel = pixels.first + threadIdx.y; pixel < pixels.end; pixel += 8)
            sum += rounded<product>(p.gradient[static_cast<int64_t>(pixel) * p.filters + filter]);
    sums[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y > 0 || filter >= p.filters) return;
    for (int row = 1; row < 8; ++row) sum += sums[row][threadIdx.x];
    p.partial[unit * p.width + static_cast<int64_t>(p.filters) * p.pitch + filter] = sum;
}

}  // namespace xbench
