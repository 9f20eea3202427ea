// halo_wgrad with products in f16: kernels for blocks of the shapes of halo_wgrad.h.
#define XB_PRODUCT f16
#include "kernels/conv2d/halo_gemm/wgrad_kernels.cuh"
