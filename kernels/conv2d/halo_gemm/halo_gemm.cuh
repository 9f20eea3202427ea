// A 3x3 convolution of stride 1, or its gradient of x, on the tensor cores. A block keeps its packed filters in shared
// memory and goes through tiles of 256 pixels; of each it reads the pixels and a rim of one around them once, 64 bytes of
// rounded channels at a time, and multiplies them nine times over, at the nine shifts. ldmatrix takes any rows, so a shift
// is an addition to an address. Sums run over chunks of channels, then taps, then channels, whatever the tile.
#pragma once

#include "kernels/conv2d/halo_gemm/halo_gemm.h"
#include "kernels/cuda/block_sum.cuh"
#include "kernels/cuda/philox.cuh"
#include "kernels/cuda/tensor_core.cuh"
#include "kernels/pool2d/window.cuh"

namespace xbench {

// Four numbers as the tensor cores take them.
template <Product product>
__device__ __forceinline__ void store_rounded(uint32_t to, float4 v) {
    const uint32_t raw[4] = {__float_as_uint(v.x), __float_as_uint(v.y), __float_as_uint(v.z), __float_as_uint(v.w)};
    if constexpr (product == Product::tf32)
        asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(round_tf32(raw[0])), "r"(round_tf32(raw[1])),
                     "r"(round_tf32(raw[2])), "r"(round_tf32(raw[3]))
                     : "memory");
    else
        asm volatile("st.shared.v2.u32 [%0], {%1, %2};" ::"r"(to), "r"(round_pair<product>(raw[0], raw[1])),
                     "r"(round_pair<product>(raw[2], raw[3]))
                     : "memory");
}

// Where a pixel of the halo has 16 bytes of its chunk: eight pixels in a row hit different banks, from wherever they begin.
__device__ __forceinline__ uint32_t place_in_halo(int pixel, int unit) {
    return pixel * halo_chunk_bytes + ((unit ^ (pixel >> 1 & 3)) << 4);
}

struct TilePlace {
    int image, first_row, first_column;
    __device__ TilePlace(const HaloTile& tiles, int tile) {
        image = tile / tiles.of_image;
        const int place = tile - image * tiles.of_image, down = place / tiles.across;
        first_row = down * tiles.height();
        first_column = (place - down * tiles.across) * tiles.width();
    }
};

// A chunk of the channels of the tile's pixels and their rim; zeros outside of the image.
template <Product product>
__device__ __forceinline__ void load_halo(uint32_t halo, const HaloProduct& p, const TilePlace& tile, int chunk) {
    constexpr int quads = product == Product::tf32 ? 4 : 8;  // of floats, in a chunk
    const int width = p.tile.halo_width(), by_width = 65536 / width + 1, all = p.tile.halo_pixels() * quads;
    const float* const image = p.source + static_cast<int64_t>(tile.image) * p.h * p.w * p.channels;
#pragma unroll 4
    for (int at = static_cast<int>(threadIdx.x); at < all; at += halo_threads) {
        const int pixel = at / quads, quad = at % quads, i = pixel * by_width >> 16, j = pixel - i * width;
        const int h = tile.first_row - p.pad_h + i, w = tile.first_column - p.pad_w + j,
                  channel = 4 * (chunk * quads + quad);
        const bool inside = static_cast<unsigned>(h) < static_cast<unsigned>(p.h) &&
                            static_cast<unsigned>(w) < static_cast<unsigned>(p.w) && channel < p.channels;
        float4 four = make_float4(0, 0, 0, 0);
        if (inside) four = *reinterpret_cast<const float4*>(image + (h * p.w + w) * p.channels + channel);
        store_rounded<product>(
            halo + (quads == 4 ? place_in_halo(pixel, quad) : place_in_halo(pixel, quad / 2) + quad % 2 * 8), four);
    }
}

template <int eights>
struct HaloSums {
    float at[2][eights][4];
};

// Two matrices of 16 pixels a warp, `eights` of 8 columns.
template <Product product, int eights>
__device__ __forceinline__ void multiply_chunk(HaloSums<eights>& sums, uint32_t halo, uint32_t filters, const HaloProduct& p,
                                               int chunk) {
    const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) >> 5, half = lane >> 4;
    int pixels[2];
#pragma unroll
    for (int m = 0; m < 2; ++m) {
        const int row = warp * 32 + m * 16 + (lane & 15);
        pixels[m] = (row >> p.tile.width_bits) * p.tile.halo_width() + (row & (p.tile.width() - 1));
    }
    const int column = (lane & 7) + half * 8;
    const uint32_t row_bytes = p.units * 16, tap_bytes = eights * 8 * row_bytes;
    const uint32_t b = filters + column * row_bytes + (swizzled_unit(column, chunk * 4 + (lane >> 3 & 1), p.units) << 4);
#pragma unroll 1
    for (int r = 0; r < 3; ++r) {
#pragma unroll
        for (int s = 0; s < 3; ++s) {
            const uint32_t of_tap = b + (3 * r + s) * tap_bytes;
#pragma unroll
            for (int k = 0; k < 2; ++k) {
                uint32_t pixel[2][4];
#pragma unroll
                for (int m = 0; m < 2; ++m)
                    load_matrices(pixel[m], halo + (place_in_halo(pixels[m] + r * p.tile.halo_width() + s, half) ^ k * 32));
#pragma unroll
                for (int j = 0; j < eights; j += 2) {
                    uint32_t filter[4];
                    load_matrices(filter, (of_tap ^ k * 32) + j * 8 * row_bytes);
#pragma unroll
                    for (int m = 0; m < 2; ++m) {
                        multiply_add<product>(sums.at[m][j], pixel[m], filter);
                        multiply_add<product>(sums.at[m][j + 1], pixel[m], filter + 2);
                    }
                }
            }
        }
    }
}

// Calls body(offset in the result, column, first value, its neighbour) for what this lane has of the tile that exists.
template <int eights, class Body>
__device__ __forceinline__ void for_each_pair(HaloSums<eights>& sums, const HaloProduct& p, const TilePlace& tile,
                                              int first_column, Body&& body) {
    const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) >> 5;
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
        for (int below = 0; below < 2; ++below) {
            const int row = warp * 32 + m * 16 + below * 8 + (lane >> 2);
            const int i = tile.first_row + (row >> p.tile.width_bits), j = tile.first_column + (row & (p.tile.width() - 1));
            if (i >= p.p || j >= p.q) continue;
            const int64_t at = ((static_cast<int64_t>(tile.image) * p.p + i) * p.q + j) * p.columns;
#pragma unroll
            for (int e = 0; e < eights; ++e) {
                const int column = first_column + e * 8 + (lane & 3) * 2;
                if (column < p.columns) body(at + column, e, sums.at[m][e][2 * below], sums.at[m][e][2 * below + 1]);
            }
        }
}

// What comes to each sum of the lane's columns. Parts of a flat buffer need not be pairs.
template <int eights>
__device__ __forceinline__ void load_pairs(float2 (&pairs)[eights], const float* from, const HaloProduct& p,
                                           int first_column) {
#pragma unroll
    for (int e = 0; e < eights; ++e) {
        const int column = first_column + e * 8 + (static_cast<int>(threadIdx.x) & 3) * 2;
        pairs[e] = from && column < p.columns ? make_float2(from[column], from[column + 1]) : make_float2(0, 0);
    }
}

// partial{tiles, 2, columns}: sums of a tile's pixels over lanes, then over warps, in a fixed order. `scratch` is the halo's
// memory.
template <int eights>
__device__ __forceinline__ void store_statistics(double (&of_lane)[eights][2][2], const HaloProduct& p, int tile,
                                                 int first_column, unsigned char* scratch) {
    auto* const of_warps = reinterpret_cast<double(*)[2][eights * 8]>(scratch);
    __syncthreads();
    const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) >> 5;
#pragma unroll
    for (int e = 0; e < eights; ++e)
#pragma unroll
        for (int right = 0; right < 2; ++right)
#pragma unroll
            for (int which = 0; which < 2; ++which) {
                double sum = of_lane[e][right][which];
                for (int distance = 4; distance < 32; distance *= 2) sum += __shfl_xor_sync(whole_warp, sum, distance);
                if (lane < 4) of_warps[warp][which][e * 8 + lane * 2 + right] = sum;
            }
    __syncthreads();
    for (int at = static_cast<int>(threadIdx.x); at < 2 * eights * 8; at += halo_threads) {
        const int which = at / (eights * 8), column = at - which * eights * 8;
        double sum = 0;
        for (int w = 0; w < halo_threads / 32; ++w) sum += of_warps[w][which][column];
        if (first_column + column < p.columns)
            p.partial[(static_cast<int64_t>(tile) * 2 + which) * p.columns + first_column + column] = sum;
    }
}

template <int eights, bool with_statistics>
__device__ __forceinline__ void finish_tile(HaloSums<eights>& sums, const HaloProduct& p, int tile, int first_column,
                                            unsigned char* scratch) {
    float2 bias[eights];
    load_pairs<eights>(bias, p.bias, p, first_column);
    float2 shift[eights];
    double of_lane[eights][2][2] = {};
    if constexpr (with_statistics) load_pairs<eights>(shift, p.shift, p, first_column);
    for_each_pair<eights>(sums, p, TilePlace(p.tile, tile), first_column, [&](int64_t at, int e, float left, float right) {
        left += bias[e].x, right += bias[e].y;
        if (p.relu) left = left < 0 ? 0.0f : left, right = right < 0 ? 0.0f : right;
        *reinterpret_cast<float2*>(p.result + at) = make_float2(left, right);
        if constexpr (with_statistics) {
            const double d[2] = {static_cast<double>(left) - static_cast<double>(shift[e].x),
                                 static_cast<double>(right) - static_cast<double>(shift[e].y)};
#pragma unroll
            for (int i = 0; i < 2; ++i) of_lane[e][i][0] += d[i], of_lane[e][i][1] = fma(d[i], d[i], of_lane[e][i][1]);
        }
    });
    if constexpr (with_statistics) store_statistics<eights>(of_lane, p, tile, first_column, scratch);
}

// Two rows of a window lie in one lane, its columns in lanes 4 apart, of which each takes one of two filters.
template <int eights>
__device__ __forceinline__ void finish_pooled(const HaloSums<eights>& sums, const HaloProduct& p, const HaloPool& pool,
                                              const StepContext* step, const TilePlace& tile, int first_column) {
    const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) >> 5, group = lane >> 2;
    const int right = group & 1, height = p.p / 2, width = p.q / 2;
    const bool wide = p.tile.width_bits == 4;
    const KeepMask keep(pool.dropout, step, height * width);
#pragma unroll
    for (int window = 0; window < 2; ++window) {
        const int i = tile.first_row / 2 + (wide ? warp : 2 * warp + window);
        const int j = tile.first_column / 2 + (wide ? 4 * window : 0) + group / 2;
        const bool exists = i < height && j < width;
#pragma unroll
        for (int e = 0; e < eights; ++e) {
            const int column = first_column + e * 8 + (lane & 3) * 2 + right;
            const float bias = p.bias && column < p.columns ? p.bias[column] : 0.0f;
            const auto finished = [&](float sum) { return p.relu && sum + bias < 0 ? 0.0f : sum + bias; };
            float pixels[4];  // of the window
#pragma unroll
            for (int row = 0; row < 2; ++row) {
                const float first = wide ? sums.at[row][e][2 * window] : sums.at[window][e][2 * row];
                const float second = wide ? sums.at[row][e][2 * window + 1] : sums.at[window][e][2 * row + 1];
                const float own = right ? second : first;
                const float other = __shfl_xor_sync(whole_warp, right ? first : second, 4);
                pixels[2 * row] = finished(right ? other : own), pixels[2 * row + 1] = finished(right ? own : other);
            }
            if (!exists || column >= p.columns) continue;
            Largest best{pixels[0], 0};
            for (int at = 1; at < 4; ++at) best.meet(pixels[at], at);
            const bool kept = keep(tile.image, column, i * width + j);
            const int64_t at = ((static_cast<int64_t>(tile.image) * height + i) * width + j) * p.columns + column;
            pool.y[at] = kept ? best.value * keep.scale() : 0.0f;
            if (!pool.index) continue;
            const bool closed = !kept || (p.relu && !(best.value > 0));
            pool.index[at] = static_cast<uint8_t>(closed ? static_cast<int>(closed_window) : best.place);
        }
    }
}

// Calls finish(sums, tile, first column) for each tile of the block. Blocks: (some, which share the tiles; of columns).
template <Product product, int eights, class Finish>
__device__ __forceinline__ void for_each_tile(const HaloProduct& p, uint32_t filters, uint32_t halo, Finish&& finish) {
    const uint32_t units = halo_taps * eights * 8 * p.units;
    const uint4* const packed = static_cast<const uint4*>(p.filters) + static_cast<int64_t>(blockIdx.y) * units;
    for (uint32_t at = threadIdx.x; at < units; at += halo_threads) copy_async<16>(filters + at * 16, packed + at, true);
    commit_copies();
    const int first_column = static_cast<int>(blockIdx.y) * eights * 8;
    for (int tile = static_cast<int>(blockIdx.x); tile < p.tiles; tile += static_cast<int>(gridDim.x)) {
        const TilePlace place(p.tile, tile);
        HaloSums<eights> sums = {};
        for (int chunk = 0; chunk < p.chunks; ++chunk) {
            __syncthreads();  // everybody has read what is overwritten
            load_halo<product>(halo, p, place, chunk);
            wait_for_copies<0>();
            __syncthreads();
            multiply_chunk<product, eights>(sums, halo, filters, p, chunk);
        }
        finish(sums, tile, first_column);
    }
}

template <Product product, int eights, bool with_statistics>
__device__ __forceinline__ void halo_product(const HaloProduct& p) {
    extern __shared__ __align__(128) unsigned char halo_shared[];
    unsigned char* const halo = halo_shared + halo_taps * eights * 8 * p.units * 16;
    for_each_tile<product, eights>(p, shared_address(halo_shared), shared_address(halo),
                                   [&](HaloSums<eights>& sums, int tile, int first_column) {
                                       finish_tile<eights, with_statistics>(sums, p, tile, first_column, halo);
                                   });
}

template <Product product, int eights>
__device__ __forceinline__ void halo_product_and_pool(const HaloProduct& p, const HaloPool& pool, const StepContext* step) {
    extern __shared__ __align__(128) unsigned char halo_shared[];
    const uint32_t filters = shared_address(halo_shared);
    for_each_tile<product, eights>(p, filters, filters + halo_taps * eights * 8 * p.units * 16,
                                   [&](const HaloSums<eights>& sums, int tile, int first_column) {
                                       finish_pooled<eights>(sums, p, pool, step, TilePlace(p.tile, tile), first_column);
                                   });
}

}  // namespace xbench
