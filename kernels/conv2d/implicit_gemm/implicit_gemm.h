// What host and device agree on for the convolutions as matrix products (implicit_gemm.cuh): the arguments of the kernels.
// Plain data. Images are nhwc, filters {k, r, s, c} or, for the gradient of x, {c, r, s, k}; all f32.
//
//   gather product   y or dx{rows, columns} = gathered source{rows, K} filters{columns, K}^T: a row is a pixel of the
//   result, K
//                    runs over filter positions and, inside, the channels of the source.
//   filter gradient  dw{k, (r,s,c)} = dy{pixels, k}^T gathered x{pixels, (r,s,c)}, a partial sum for each part of an image
//                    or each leaf
// A linear layer is a convolution of images of one pixel.
#pragma once

#include <cstdint>

namespace xbench {

// n / divisor for 0 <= n < 2^31 by one multiplication (Granlund and Montgomery, PLDI 1994).
struct FastDivide {
    uint32_t divisor, multiplier, shift;
};

inline FastDivide fast_divide(int32_t divisor) {
    uint32_t bits = 0;  // of divisor - 1
    while (bits < 31 && (1u << bits) < static_cast<uint32_t>(divisor)) ++bits;
    if (bits == 0) return {1, 0, 0};
    const uint64_t d = static_cast<uint32_t>(divisor), power = uint64_t{1} << (31 + bits);
    return {static_cast<uint32_t>(divisor), static_cast<uint32_t>((power + d - 1) / d), bits - 1};
}

// A filter's way over one axis of the image.
struct Axis {
    int32_t source, result;  // positions
    int32_t taps, stride, pad, dilation;
};

struct GatherProduct {
    const float* source;
    const float* filters;
    const float* bias;  // {columns}; null: none
    float* result;      // {rows, columns}, or {splits, rows, columns}
    int32_t images, channels, columns;
    Axis h, w;         // result and source change places in a backward product: source is always what is read
    int32_t backward;  // 1: the gradient of x; blockIdx.y is then a residue of the result's position by the strides
    int32_t relu;
    int32_t result_vectors;  // 1: the result may be written 128 bits at a time
    int32_t split_k;         // K of a split, a multiple of 32; 0: not split
    FastDivide by_channels;
};

struct SplitSum {
    const float* partial;  // {splits, rows, columns}
    const float* bias;
    float* result;
    int64_t elements;  // rows * columns
    int32_t splits, columns, relu;
};

struct FilterGradient {
    const float* source;    // x
    const float* gradient;  // dy
    float* partial;         // {units, width}
    int64_t width;          // of a unit: filters * pitch, then, with a bias, `filters` more
    int32_t filters, channels;
    int32_t pitch;  // r * s * c, rounded up to a multiple of 4
    Axis h, w;
    int32_t parts, part_pixels;  // units of an image and their pixels; parts 0: a unit is a leaf
    int32_t tiles, tiles_of_columns;
    FastDivide by_channels, by_taps_w, by_pixels, by_width;
};

struct FinishedGradient {
    float* filters;  // dw
    float* bias;     // db; null: none
    int32_t count, channels, taps, pitch;
    int32_t plain;  // 1: {k, c, r, s}; 0: {k, r, s, c}
};

// to[batch][column][row] = from[batch][row][column], with distances in elements between batches and between rows.
struct TransposedFilters {
    const float* from;
    float* to;
    int32_t rows, columns;  // of a matrix of `from`
    int64_t from_batch, from_row, to_batch, to_row;
};

constexpr int32_t most_taps = 32;  // of an axis: bits of a mask

}  // namespace xbench
