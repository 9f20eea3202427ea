// conv2d and conv2d_dgrad (core/ops.h) as products of matrices that are gathered on the way, f32: any filter, stride,
// padding, dilation and number of groups. A block makes 64 pixels of 32 filters (or channels) of a group of an image, a
// thread 4 x 4 of them; the sum runs over channels and taps, 16 at a time through shared memory, in ascending order.
#include "kernels/conv2d/conv_shape.h"
#include "kernels/cuda/map.cuh"

using namespace xbench;

namespace {

constexpr int pixels_of_tile = 64, rows_of_tile = 32, step_depth = 16, threads = 128;
constexpr int row_pitch = rows_of_tile + 4;  // 8 depths and 4 rows, which are stored together, are 32 banks

struct Tiles {
    float pixels[step_depth][pixels_of_tile];
    float rows[step_depth][row_pitch];
};

// conv2d: rows are filters, the sum runs over (channel, r, s).
struct Forward {
    ConvShape s;
    int h0, w0;  // the input of tap 0 for this thread's pixel
    __device__ int row_count() const { return s.filters_of_group(); }
    __device__ int depth() const { return s.depth(); }
    __device__ int pixel_count() const { return s.p * s.q; }
    __device__ int from_count() const { return s.c * s.h * s.w; }
    __device__ int to_count() const { return s.k * s.p * s.q; }
    __device__ void set_pixel(int pixel) {
        h0 = pixel / s.q * s.stride_h - s.pad_h;
        w0 = pixel % s.q * s.stride_w - s.pad_w;
    }
    __device__ float pixel_at(const float* x, int group, int d) const {
        const int taps = s.taps(), c = d / taps, tap = d - c * taps, r = tap / s.s;
        const int h = h0 + r * s.dilation_h, w = w0 + (tap - r * s.s) * s.dilation_w;
        if (static_cast<unsigned>(h) >= static_cast<unsigned>(s.h) || static_cast<unsigned>(w) >= static_cast<unsigned>(s.w))
            return 0;
        return x[((group * s.channels_of_group() + c) * s.h + h) * s.w + w];
    }
    __device__ int64_t weight_at(int group, int row, int d) const {
        return static_cast<int64_t>(group * s.filters_of_group() + row) * s.depth() + d;
    }
};

// conv2d_dgrad: rows are channels, the sum runs over (filter, r, s).
struct Backward {
    ConvShape s;
    int h0, w0;  // the output times the stride that reads this thread's pixel with tap 0
    __device__ int row_count() const { return s.channels_of_group(); }
    __device__ int depth() const { return s.filters_of_group() * s.taps(); }
    __device__ int pixel_count() const { return s.h * s.w; }
    __device__ int from_count() const { return s.k * s.p * s.q; }
    __device__ int to_count() const { return s.c * s.h * s.w; }
    __device__ void set_pixel(int pixel) {
        h0 = pixel / s.w + s.pad_h;
        w0 = pixel % s.w + s.pad_w;
    }
    __device__ float pixel_at(const float* dy, int group, int d) const {
        const int taps = s.taps(), k = d / taps, tap = d - k * taps, r = tap / s.s;
        const int h = h0 - r * s.dilation_h, w = w0 - (tap - r * s.s) * s.dilation_w;
        if (h < 0 || w < 0) return 0;
        const int p = h / s.stride_h, q = w / s.stride_w;
        if (p >= s.p || q >= s.q || p * s.stride_h != h || q * s.stride_w != w) return 0;
        return dy[((group * s.filters_of_group() + k) * s.p + p) * s.q + q];
    }
    __device__ int64_t weight_at(int group, int row, int d) const {
        const int taps = s.taps(), k = d / taps;
        return (static_cast<int64_t>(group * s.filters_of_group() + k) * s.channels_of_group() + row) * taps + d - k * taps;
    }
};

template <class Gather>
__device__ __forceinline__ void load_tiles(Tiles& tiles, const Gather& gather, const float* from, const float* weights,
                                           int group, int first_row, int first_depth, bool has_pixel) {
    const int thread = static_cast<int>(threadIdx.x), depth = gather.depth();
#pragma unroll
    for (int i = 0; i < step_depth * pixels_of_tile / threads; ++i) {
        const int d = thread / pixels_of_tile + i * (threads / pixels_of_tile);
        const bool inside = has_pixel && first_depth + d < depth;
        tiles.pixels[d][thread % pixels_of_tile] = inside ? gather.pixel_at(from, group, first_depth + d) : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < step_depth * rows_of_tile / threads; ++i) {
        const int d = thread % 8 + i % 2 * 8, row = thread / 8 + i / 2 * (threads / 8);
        const bool inside = first_row + row < gather.row_count() && first_depth + d < depth;
        tiles.rows[d][row] = inside ? weights[gather.weight_at(group, first_row + row, first_depth + d)] : 0.0f;
    }
}

__device__ __forceinline__ void multiply(const Tiles& tiles, int tx, int ty, float (&sum)[4][4]) {
#pragma unroll
    for (int d = 0; d < step_depth; ++d) {
        const float4 pixels = *reinterpret_cast<const float4*>(&tiles.pixels[d][4 * tx]);
        const float4 rows = *reinterpret_cast<const float4*>(&tiles.rows[d][4 * ty]);
        const float a[4] = {rows.x, rows.y, rows.z, rows.w}, b[4] = {pixels.x, pixels.y, pixels.z, pixels.w};
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j) sum[i][j] = fmaf(a[i], b[j], sum[i][j]);
    }
}

// Blocks: (tiles of pixels, tiles of rows of all groups, images).
template <class Gather>
__device__ __forceinline__ void convolve(Gather gather, const float* from, const float* weights, const float* bias,
                                         float* to, int with_relu, int vectors) {
    __shared__ Tiles tiles;
    const int thread = static_cast<int>(threadIdx.x), tx = thread % 16, ty = thread / 16;
    const int tiles_of_group = (gather.row_count() + rows_of_tile - 1) / rows_of_tile;
    const int group = static_cast<int>(blockIdx.y) / tiles_of_group;
    const int first_row = (static_cast<int>(blockIdx.y) - group * tiles_of_group) * rows_of_tile;
    const int first_pixel = static_cast<int>(blockIdx.x) * pixels_of_tile;
    const int my_pixel = first_pixel + thread % pixels_of_tile;
    const bool has_pixel = my_pixel < gather.pixel_count();
    gather.set_pixel(my_pixel);
    from += static_cast<int64_t>(blockIdx.z) * gather.from_count();
    float sum[4][4] = {};
    for (int depth = 0; depth < gather.depth(); depth += step_depth) {
        load_tiles(tiles, gather, from, weights, group, first_row, depth, has_pixel);
        __syncthreads();
        multiply(tiles, tx, ty, sum);
        __syncthreads();
    }
    to += static_cast<int64_t>(blockIdx.z) * gather.to_count();
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const int row = first_row + 4 * ty + i;
        if (row >= gather.row_count()) continue;
        const int out = group * gather.row_count() + row;
        const float offset = bias ? bias[out] : 0.0f;
        Four four;
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            const float value = sum[i][j] + offset;
            four.v[j] = with_relu ? relu(value) : value;
        }
        if (first_pixel + 4 * tx < gather.pixel_count())
            store_four(to + static_cast<int64_t>(out) * gather.pixel_count(), four, first_pixel + 4 * tx,
                       gather.pixel_count(), vectors);
    }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(128)
    conv_forward(const float* x, const float* w, const float* bias, float* y, ConvShape s, int with_relu, int vectors) {
    convolve(Forward{s, 0, 0}, x, w, bias, y, with_relu, vectors);
}

extern "C" __global__ void __launch_bounds__(128)
    conv_dgrad(const float* dy, const float* w, float* dx, ConvShape s, int vectors) {
    convolve(Backward{s, 0, 0}, dy, w, nullptr, dx, 0, vectors);
}
