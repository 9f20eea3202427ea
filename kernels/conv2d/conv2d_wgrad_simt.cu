// conv2d_wgrad (core/ops.h) as a product of matrices that are gathered on the way, f32: any filter, stride, padding,
// dilation and number of groups. A block makes 32 filters x 64 of (channel, r, s) of a group, summed over a part of an
// image's pixels or over a leaf; the column behind the last is the gradient of the bias. A second kernel adds the parts over
// leaves.
#include "kernels/conv2d/conv_shape.h"
#include "kernels/cuda/image_sums.cuh"

using namespace xbench;

namespace {

constexpr int filters_of_tile = 32, columns_of_tile = 64, step_pixels = 16, threads = 128;
constexpr int filter_pitch = filters_of_tile + 4, column_pitch = columns_of_tile + 4;

struct Tiles {
    float dy[step_pixels][filter_pitch];
    float x[step_pixels][column_pitch];
};

// Column (channel, r, s) of x as the filters see it.
struct Column {
    int channel, dh, dw;
    bool inside, bias;
    __device__ Column(const ConvShape& s, int column) {
        const int taps = s.taps();
        channel = column / taps;
        const int tap = column - channel * taps, r = tap / s.s;
        dh = r * s.dilation_h - s.pad_h;
        dw = (tap - r * s.s) * s.dilation_w - s.pad_w;
        inside = column < s.depth();
        bias = column == s.depth();
    }
    __device__ float at(const float* x, const ConvShape& s, int first_channel, int p, int q) const {
        if (!inside) return bias ? 1.0f : 0.0f;
        const int h = p * s.stride_h + dh, w = q * s.stride_w + dw;
        if (static_cast<unsigned>(h) >= static_cast<unsigned>(s.h) || static_cast<unsigned>(w) >= static_cast<unsigned>(s.w))
            return 0;
        return x[((first_channel + channel) * s.h + h) * s.w + w];
    }
};

// The tile that a block makes.
struct Place {
    int group, first_filter, first_column;
    __device__ Place(const ConvShape& s) {
        const int tiles_of_group = (s.filters_of_group() + filters_of_tile - 1) / filters_of_tile;
        group = static_cast<int>(blockIdx.y) / tiles_of_group;
        first_filter = (static_cast<int>(blockIdx.y) - group * tiles_of_group) * filters_of_tile;
        first_column = static_cast<int>(blockIdx.x) * columns_of_tile;
    }
};

__device__ __forceinline__ void load_tiles(Tiles& tiles, const float* x, const float* dy, const ConvShape& s,
                                           const Place& place, int first_pixel, int end_pixel) {
    const int lane = static_cast<int>(threadIdx.x % 8), group_of_lanes = static_cast<int>(threadIdx.x / 8);
    const int first_channel = place.group * s.channels_of_group(), pixels = s.p * s.q;
#pragma unroll
    for (int half = 0; half < step_pixels; half += 8) {
        const int pixel = first_pixel + half + lane, p = pixel / s.q, q = pixel - p * s.q;
        const bool inside = pixel < end_pixel;
#pragma unroll
        for (int i = group_of_lanes; i < filters_of_tile; i += threads / 8) {
            const int filter = place.first_filter + i;
            const bool has = inside && filter < s.filters_of_group();
            tiles.dy[half + lane][i] = has ? dy[(place.group * s.filters_of_group() + filter) * pixels + pixel] : 0.0f;
        }
#pragma unroll
        for (int i = group_of_lanes; i < columns_of_tile; i += threads / 8)
            tiles.x[half + lane][i] = inside ? Column(s, place.first_column + i).at(x, s, first_channel, p, q) : 0.0f;
    }
}

__device__ __forceinline__ void multiply(const Tiles& tiles, int tx, int ty, float (&sum)[4][4]) {
#pragma unroll
    for (int pixel = 0; pixel < step_pixels; ++pixel) {
        const float4 columns = *reinterpret_cast<const float4*>(&tiles.x[pixel][4 * tx]);
        const float4 filters = *reinterpret_cast<const float4*>(&tiles.dy[pixel][4 * ty]);
        const float a[4] = {filters.x, filters.y, filters.z, filters.w}, b[4] = {columns.x, columns.y, columns.z, columns.w};
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j) sum[i][j] = fmaf(a[i], b[j], sum[i][j]);
    }
}

}  // namespace

// partial{chunks, k, depth + 1}. Blocks: (tiles of columns, tiles of filters of all groups, chunks): a chunk is a part of an
// image or a leaf.
extern "C" __global__ void __launch_bounds__(128)
    conv_wgrad_parts(const float* x, const float* dy, float* partial, ConvShape s, WgradCut cut, const StepContext* step) {
    __shared__ Tiles tiles;
    const int chunk = static_cast<int>(blockIdx.z), image = chunk / cut.parts;
    if (cut.of_leaves && chunk >= step->leaves) return;
    const int first_image = cut.of_leaves ? step->leaf_begin[chunk] : image;
    const int end_image = cut.of_leaves ? step->leaf_begin[chunk + 1] : image + 1;
    const int first_pixel = cut.of_leaves ? 0 : (chunk - image * cut.parts) * cut.pixels;
    const int end_pixel = cut.of_leaves ? s.p * s.q : min(first_pixel + cut.pixels, s.p * s.q);
    const Place place(s);
    const int tx = static_cast<int>(threadIdx.x % 16), ty = static_cast<int>(threadIdx.x / 16);
    float sum[4][4] = {};
    for (int n = first_image; n < end_image; ++n)
        for (int pixel = first_pixel; pixel < end_pixel; pixel += step_pixels) {
            load_tiles(tiles, x + static_cast<int64_t>(n) * s.c * s.h * s.w, dy + static_cast<int64_t>(n) * s.k * s.p * s.q,
                       s, place, pixel, end_pixel);
            __syncthreads();
            multiply(tiles, tx, ty, sum);
            __syncthreads();
        }
    const int columns = s.depth() + 1;
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            const int filter = place.first_filter + 4 * ty + i, column = place.first_column + 4 * tx + j;
            if (filter >= s.filters_of_group() || column >= columns) continue;
            const int64_t row = static_cast<int64_t>(chunk) * s.k + place.group * s.filters_of_group() + filter;
            partial[row * columns + column] = sum[i][j];
        }
}

extern "C" __global__ void conv_wgrad_finish(Partials<float> partials, const StepContext* step, float* dw, float* db,
                                             int columns) {
    const int64_t at = static_cast<int64_t>(blockIdx.x) * sum_columns + threadIdx.x;
    const float sum = sum_over_leaves(partials, step, at);
    if (threadIdx.y > 0 || at >= partials.width) return;
    const int64_t k = at / columns;
    const int column = static_cast<int>(at - k * columns);
    if (column < columns - 1) {
        dw[k * (columns - 1) + column] = sum;
    } else if (db) {
        db[k] = sum;
    }
}
