// The gradient of 3x3 filters of stride 1 on the tensor cores, products in bf16 or f16: dw{filter, channel, tap} is a
// product over pixels of dy and of x at nine shifts. A block keeps a tile of 256 pixels of dy and, with a rim, of x rounded
// in shared memory, reads each once, and multiplies them nine times over; ldmatrix turns both round. The sums of all nine
// taps stay in registers over all tiles of a unit, which adds them up tile by tile.
#pragma once

#include "kernels/conv2d/halo_gemm/halo_gemm.cuh"
#include "kernels/conv2d/halo_gemm/halo_wgrad.h"
#include "kernels/kernel.h"

namespace xbench {

__device__ __forceinline__ void load_turned(uint32_t (&to)[4], uint32_t from) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(from)
                 : "memory");
}

// Pixels of `channels` rounded to 16 bits: where a pixel has its unit of eight. Eight pixels in a row hit different banks.
template <int channels>
__device__ __forceinline__ uint32_t place_of_unit(int pixel, int unit) {
    constexpr int units = channels / 8;
    if constexpr (units >= 8) return pixel * channels * 2 + ((unit ^ (pixel & 7)) << 4);
    constexpr int shift = units == 4 ? 1 : units == 2 ? 2 : 3;
    return pixel * channels * 2 + ((unit ^ (pixel >> shift & (units - 1))) << 4);
}

// `channels` from first_channel on of pixels `width` across from (first_row, first_column), zeros outside of the image.
template <Product product, int channels>
__device__ __forceinline__ void load_pixels(uint32_t to, const float* image, int height, int image_width, int all_channels,
                                            int first_channel, int first_row, int first_column, int width, int pixels) {
    constexpr int quads = channels / 4;
    const int by_width = 65536 / width + 1;
#pragma unroll 4
    for (int at = static_cast<int>(threadIdx.x); at < pixels * quads; at += halo_threads) {
        const int pixel = at / quads, quad = at % quads, i = pixel * by_width >> 16, j = pixel - i * width;
        const int h = first_row + i, w = first_column + j, channel = first_channel + 4 * quad;
        const bool inside = static_cast<unsigned>(h) < static_cast<unsigned>(height) &&
                            static_cast<unsigned>(w) < static_cast<unsigned>(image_width) && channel < all_channels;
        float4 four = make_float4(0, 0, 0, 0);
        if (inside) four = *reinterpret_cast<const float4*>(image + (h * image_width + w) * all_channels + channel);
        store_rounded<product>(to + place_of_unit<channels>(pixel, quad / 2) + quad % 2 * 8, four);
    }
}

template <class B>
struct WgradSums {
    float at[B::matrices][halo_taps][4];
};

// The tile's pixels, 16 at a time.
template <Product product, class B>
__device__ __forceinline__ void multiply_tile(WgradSums<B>& sums, uint32_t halo, uint32_t gradient, const HaloTile& tile) {
    const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) >> 5;
    const int unit_of_x = warp % B::warps_of_channels;
    const int first_matrix = warp / B::warps_of_channels % B::warps_of_filters * B::matrices;
    const int first = warp / (B::warps_of_channels * B::warps_of_filters) * 16;
    const int width = tile.halo_width(), row = first + (lane & 15), row_of_dy = first + (lane & 7) + (lane >> 4) * 8;
    int pixel = (row >> tile.width_bits) * width + (row & (tile.width() - 1));
    const int step = B::warps_of_pixels * (16 >> tile.width_bits) * width;
#pragma unroll 1
    for (int k = 0; k < halo_pixels_of_tile; k += 16 * B::warps_of_pixels, pixel += step) {
        uint32_t dy[B::matrices][4];
#pragma unroll
        for (int m = 0; m < B::matrices; ++m)
            load_turned(dy[m],
                        gradient + place_of_unit<B::filters>(row_of_dy + k, 2 * (first_matrix + m) + (lane >> 3 & 1)));
#pragma unroll
        for (int tap = 0; tap < halo_taps; tap += 2) {
            const int mine = min(tap + (lane >> 4), halo_taps - 1), shift = mine / 3 * width + mine % 3;
            uint32_t x[4];  // of two taps; the last is alone
            load_turned(x, halo + place_of_unit<B::channels>(pixel + shift, unit_of_x));
#pragma unroll
            for (int m = 0; m < B::matrices; ++m) {
                multiply_add<product>(sums.at[m][tap], dy[m], x);
                if (tap + 1 < halo_taps) multiply_add<product>(sums.at[m][tap + 1], dy[m], x + 2);
            }
        }
    }
}

// The sums of 16 filters at a time by way of shared memory, where warps that had other pixels add theirs one after the
// other, into rows of the partial sum.
template <class B>
__device__ __forceinline__ void store_sums(const WgradSums<B>& sums, float* staged, float* partial, const HaloWgrad& p,
                                           int first_filter, int first_channel) {
    const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) >> 5;
    const int unit = warp % B::warps_of_channels, of_filters = warp / B::warps_of_channels % B::warps_of_filters;
    const int of_pixels = warp / (B::warps_of_channels * B::warps_of_filters);
    constexpr int rows = 16 * B::warps_of_filters;
    const int run = min(B::channels, p.channels - first_channel) * halo_taps;
#pragma unroll
    for (int m = 0; m < B::matrices; ++m) {
        for (int turn = 0; turn < B::warps_of_pixels; ++turn) {
            __syncthreads();
            if (turn != of_pixels) continue;
#pragma unroll
            for (int tap = 0; tap < halo_taps; ++tap)
#pragma unroll
                for (int e = 0; e < 4; ++e) {
                    const int row = of_filters * 16 + (lane >> 2) + e / 2 * 8, c = unit * 8 + (lane & 3) * 2 + e % 2;
                    float* const to = staged + row * B::staged_pitch + c * halo_taps + tap;
                    *to = turn > 0 ? *to + sums.at[m][tap][e] : sums.at[m][tap][e];
                }
        }
        __syncthreads();
        for (int at = static_cast<int>(threadIdx.x); at < rows * run; at += halo_threads) {
            const int row = at / run, column = at - row * run;
            const int filter = first_filter + (row / 16 * B::matrices + m) * 16 + row % 16;
            if (filter < p.filters)
                partial[(static_cast<int64_t>(filter) * p.channels + first_channel) * halo_taps + column] =
                    staged[row * B::staged_pitch + column];
        }
    }
}

// The tile's part of db: thread (group, pair of filters) adds every so many pixels.
template <class B>
__device__ __forceinline__ int bias_pair() {
    return static_cast<int>(threadIdx.x) % (B::filters / 2);
}
template <Product product, class B>
__device__ __forceinline__ void add_bias(float (&bias)[2], uint32_t gradient) {
    constexpr int pairs = B::filters / 2, groups = halo_threads / pairs;
    const int pair = bias_pair<B>();
    for (int pixel = static_cast<int>(threadIdx.x) / pairs; pixel < halo_pixels_of_tile; pixel += groups) {
        uint32_t two;
        asm volatile("ld.shared.u32 %0, [%1];"
                     : "=r"(two)
                     : "r"(gradient + place_of_unit<B::filters>(pixel, pair / 4) + pair % 4 * 4)
                     : "memory");
        if constexpr (product == Product::bf16) {
            bias[0] += __uint_as_float(two << 16), bias[1] += __uint_as_float(two & 0xffff0000u);
        } else {
            float low, high;
            asm("{.reg .b16 low, high; mov.b32 {low, high}, %2; cvt.f32.f16 %0, low; cvt.f32.f16 %1, high;}"
                : "=f"(low), "=f"(high)
                : "r"(two));
            bias[0] += low, bias[1] += high;
        }
    }
}
template <class B>
__device__ __forceinline__ void store_bias(const float (&bias)[2], float* staged, float* partial, const HaloWgrad& p,
                                           int first_filter) {
    constexpr int pairs = B::filters / 2, groups = halo_threads / pairs;
    const int pair = bias_pair<B>(), group = static_cast<int>(threadIdx.x) / pairs;
    __syncthreads();
    staged[group * B::filters + 2 * pair] = bias[0], staged[group * B::filters + 2 * pair + 1] = bias[1];
    __syncthreads();
    const int k = static_cast<int>(threadIdx.x);
    if (k >= B::filters || first_filter + k >= p.filters) return;
    float sum = 0;
    for (int g = 0; g < groups; ++g) sum += staged[g * B::filters + k];
    partial[static_cast<int64_t>(p.filters) * p.channels * halo_taps + first_filter + k] = sum;
}

// Tiles begin .. end - 1 of the batch's are the block's unit; none where another block has its images.
struct TilesOfUnit {
    int begin, end;
    __device__ TilesOfUnit(const HaloWgrad& p, const StepContext* step, int unit) {
        if (p.parts > 1) {
            const int image = unit / p.parts, first = (unit - image * p.parts) * p.tiles_of_part;
            begin = image * p.tile.of_image + first;
            end = image * p.tile.of_image + min(first + p.tiles_of_part, p.tile.of_image);
            return;
        }
        int leaf = 0;
        while (step->leaf_begin[leaf + 1] <= unit) ++leaf;
        const int last = step->leaf_begin[leaf + 1];
        const bool is_first = (unit - step->leaf_begin[leaf]) % p.images_of_unit == 0;
        begin = unit * p.tile.of_image;
        end = is_first ? (last - unit < p.images_of_unit ? last : unit + p.images_of_unit) * p.tile.of_image : begin;
    }
};

// Blocks: (units; blocks of filters, then of channels).
template <Product product, class B>
__device__ __forceinline__ void halo_wgrad(const HaloWgrad& p, const StepContext* step) {
    extern __shared__ __align__(128) unsigned char halo_shared[];
    const TilesOfUnit tiles(p, step, static_cast<int>(blockIdx.x));
    if (tiles.begin == tiles.end) return;
    const int first_channel = static_cast<int>(blockIdx.y) % p.blocks_of_channels * B::channels;
    const int first_filter = static_cast<int>(blockIdx.y) / p.blocks_of_channels * B::filters;
    const uint32_t gradient = shared_address(halo_shared), halo = gradient + halo_pixels_of_tile * B::filters * 2;
    const bool has_bias = p.with_bias && first_channel == 0;
    WgradSums<B> sums = {};
    float bias[2] = {0, 0};
    for (int tile = tiles.begin; tile < tiles.end; ++tile) {
        const TilePlace place(p.tile, tile);
        const float* const dy = p.dy + static_cast<int64_t>(place.image) * p.p * p.q * p.filters;
        const float* const x = p.x + static_cast<int64_t>(place.image) * p.h * p.w * p.channels;
        __syncthreads();
        load_pixels<product, B::filters>(gradient, dy, p.p, p.q, p.filters, first_filter, place.first_row,
                                         place.first_column, p.tile.width(), halo_pixels_of_tile);
        load_pixels<product, B::channels>(halo, x, p.h, p.w, p.channels, first_channel, place.first_row - p.pad_h,
                                          place.first_column - p.pad_w, p.tile.halo_width(), p.tile.halo_pixels());
        __syncthreads();
        multiply_tile<product, B>(sums, halo, gradient, p.tile);
        if (has_bias) add_bias<product, B>(bias, gradient);
    }
    auto* const staged = reinterpret_cast<float*>(halo_shared);
    float* const partial = p.partial + static_cast<int64_t>(blockIdx.x) * p.width;
    store_sums<B>(sums, staged, partial, p, first_filter, first_channel);
    if (has_bias) store_bias<B>(bias, staged, partial, p, first_filter);
}

}  // namespace xbench
