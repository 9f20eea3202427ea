// The filter gradients of one type of products, XB_PRODUCT, for each shape of a block.
#pragma once

#include "kernels/conv2d/halo_gemm/halo_wgrad.cuh"

namespace xbench {

#define XB_JOIN_(a, b) a##_##b
#define XB_JOIN(a, b)  XB_JOIN_(a, b)
#define XB_WGRAD_KERNEL(name, B)                                                                                  \
    extern "C" __global__ void __launch_bounds__(halo_threads, 1)                                                 \
        XB_JOIN(xb_halo_wgrad_##name, XB_PRODUCT)(const __grid_constant__ HaloWgrad p, const StepContext* step) { \
        halo_wgrad<Product::XB_PRODUCT, B>(p, step);                                                              \
    }
XB_WGRAD_KERNEL(wide, WideWgrad)
XB_WGRAD_KERNEL(medium, MediumWgrad)
XB_WGRAD_KERNEL(narrow, NarrowWgrad)
XB_WGRAD_KERNEL(low, LowWgrad)
XB_WGRAD_KERNEL(lowest, LowestWgrad)

}  // namespace xbench
