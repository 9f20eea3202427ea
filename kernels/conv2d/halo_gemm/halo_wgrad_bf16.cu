// halo_wgrad with products in bf16: kernels for blocks of the shapes of halo_wgrad.h.
#define XB_PRODUCT bf16
#include "kernels/conv2d/halo_gemm/wgrad_kernels.cuh"
