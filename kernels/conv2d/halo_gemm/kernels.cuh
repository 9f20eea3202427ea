// The kernels of one type of products, XB_PRODUCT: convolutions of blocks of 16, 32 and 64 columns, with and without the
// statistics of a batch normalisation or the max-pooling behind them, and the packing of their filters.
#pragma once

#include "kernels/conv2d/halo_gemm/halo_gemm.cuh"

namespace xbench {

// Eight columns a block: their filters lie in shared memory in the order of memory, {columns, channels, taps} or, backward,
// {channels, columns, taps}.
template <Product product>
__device__ __forceinline__ void pack_filters(const PackedFilters& p) {
    extern __shared__ float plain_filters[];
    constexpr int each = product == Product::tf32 ? 4 : 8;  // numbers of a unit
    const int first = static_cast<int>(blockIdx.x) * columns_of_packing,
              left = max(min(columns_of_packing, p.columns - first), 0);
    const int run = (p.backward ? left : p.channels) * halo_taps, runs = p.backward ? p.channels : left;
    for (int at = static_cast<int>(threadIdx.x); at < run * runs; at += halo_threads) {
        const int outer = at / run, inner = at - outer * run;
        const int64_t from = p.backward ? (static_cast<int64_t>(outer) * p.columns + first) * halo_taps
                                        : static_cast<int64_t>(first + outer) * p.channels * halo_taps;
        plain_filters[at] = p.from[from + inner];
    }
    __syncthreads();
    const int of_tap = columns_of_packing * p.units;
    for (int at = static_cast<int>(threadIdx.x); at < halo_taps * of_tap; at += halo_threads) {
        const int tap = at / of_tap, c = at % of_tap / p.units, unit = at % p.units, column = first + c;
        uint32_t rounded[8];
#pragma unroll
        for (int i = 0; i < each; ++i) {
            const int channel = unit * each + i;
            const bool inside = channel < p.channels && c < left;
            const int place = p.backward ? (channel * left + c) * halo_taps + halo_taps - 1 - tap
                                         : (c * p.channels + channel) * halo_taps + tap;
            rounded[i] = inside ? __float_as_uint(plain_filters[place]) : 0u;
        }
        uint4 made;
        if constexpr (product == Product::tf32)
            made =
                make_uint4(round_tf32(rounded[0]), round_tf32(rounded[1]), round_tf32(rounded[2]), round_tf32(rounded[3]));
        else
            made = make_uint4(round_pair<product>(rounded[0], rounded[1]), round_pair<product>(rounded[2], rounded[3]),
                              round_pair<product>(rounded[4], rounded[5]), round_pair<product>(rounded[6], rounded[7]));
        const int block = column / p.columns_of_block, of_block = column - block * p.columns_of_block;
        const int64_t row = (static_cast<int64_t>(block) * halo_taps + tap) * p.columns_of_block + of_block;
        static_cast<uint4*>(p.to)[row * p.units + swizzled_unit(of_block, unit, p.units)] = made;
    }
}

#define XB_JOIN_(a, b) a##_##b
#define XB_JOIN(a, b)  XB_JOIN_(a, b)
#define XB_HALO_KERNEL(name, eights, with_statistics)                      \
    extern "C" __global__ void __launch_bounds__(halo_threads, 1)          \
        XB_JOIN(name, XB_PRODUCT)(const __grid_constant__ HaloProduct p) { \
        halo_product<Product::XB_PRODUCT, eights, with_statistics>(p);     \
    }
XB_HALO_KERNEL(xb_halo_16, 2, false)
XB_HALO_KERNEL(xb_halo_32, 4, false)
XB_HALO_KERNEL(xb_halo_64, 8, false)
XB_HALO_KERNEL(xb_halo_statistics_16, 2, true)
XB_HALO_KERNEL(xb_halo_statistics_32, 4, true)
XB_HALO_KERNEL(xb_halo_statistics_64, 8, true)

#define XB_HALO_POOL_KERNEL(name, eights)                                                                        \
    extern "C" __global__ void __launch_bounds__(halo_threads, 1) XB_JOIN(name, XB_PRODUCT)(                     \
        const __grid_constant__ HaloProduct p, const __grid_constant__ HaloPool pool, const StepContext* step) { \
        halo_product_and_pool<Product::XB_PRODUCT, eights>(p, pool, step);                                       \
    }
XB_HALO_POOL_KERNEL(xb_halo_pool_16, 2)
XB_HALO_POOL_KERNEL(xb_halo_pool_32, 4)
XB_HALO_POOL_KERNEL(xb_halo_pool_64, 8)

extern "C" __global__ void __launch_bounds__(halo_threads)
    XB_JOIN(xb_pack_filters, XB_PRODUCT)(const __grid_constant__ PackedFilters p) {
    pack_filters<Product::XB_PRODUCT>(p);
}

}  // namespace xbench
