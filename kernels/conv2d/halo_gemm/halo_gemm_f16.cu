// halo_gemm with products in f16.
#define XB_PRODUCT f16
#include "kernels/conv2d/halo_gemm/kernels.cuh"
