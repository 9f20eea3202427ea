// The kernels of one type of products, XB_PRODUCT: gather products and filter gradients (implicit_gemm.h) in the tiles of
// tiles.h, and for channels that are no multiple of 4: of the images (stem), or of any (odd).
#pragma once

#include "kernels/conv2d/implicit_gemm/filter_gradient.cuh"
#include "kernels/conv2d/implicit_gemm/gather_product.cuh"
#include "kernels/conv2d/implicit_gemm/tiles.h"

namespace xbench {

#define XB_JOIN_(a, b, c)        xb_##a##_##b##_##c
#define XB_JOIN(a, b, c)         XB_JOIN_(a, b, c)
#define XB_KERNEL(pass, name, T) extern "C" __global__ void __launch_bounds__(T::threads, 1) XB_JOIN(pass, name, XB_PRODUCT)
#define XB_GATHER_KERNEL(name, T, vec, Filters)                           \
    XB_KERNEL(gather, name, T)(const __grid_constant__ GatherProduct p) { \
        gather_product<Product::XB_PRODUCT, T, vec, Filters>(p);          \
    }
#define XB_FILTERS_KERNEL(name, T, vec_of_gradient, vec_of_source)                                   \
    XB_KERNEL(filters, name, T)(const __grid_constant__ FilterGradient p, const StepContext* step) { \
        filter_gradient<Product::XB_PRODUCT, T, vec_of_gradient, vec_of_source>(p, step);            \
    }

XB_GATHER_KERNEL(wide, WideTile, 4, DenseFilters)
XB_GATHER_KERNEL(medium, MediumTile, 4, DenseFilters)
XB_GATHER_KERNEL(narrow, NarrowTile, 4, DenseFilters)
XB_GATHER_KERNEL(low, LowestTile, 4, DenseFilters)
XB_GATHER_KERNEL(odd, NarrowTile, 1, DenseFilters)
XB_GATHER_KERNEL(crossed, WideTile, 4, CrossedFilters)
XB_GATHER_KERNEL(crossed_low, LowestTile, 4, CrossedFilters)
XB_GATHER_KERNEL(crossed_odd, NarrowTile, 1, CrossedFilters)
XB_FILTERS_KERNEL(wide, WideTile, 4, 4)
XB_FILTERS_KERNEL(low, LowTile, 4, 4)
XB_FILTERS_KERNEL(lowest, FewFiltersTile, 4, 4)
XB_FILTERS_KERNEL(stem, LowestTile, 4, 1)
XB_FILTERS_KERNEL(odd, LowestTile, 1, 1)

extern "C" __global__ void __launch_bounds__(256)
    XB_JOIN(filters, bias, XB_PRODUCT)(const __grid_constant__ FilterGradient p, const StepContext* step) {
    bias_gradient<Product::XB_PRODUCT>(p, step);
}

}  // namespace xbench
