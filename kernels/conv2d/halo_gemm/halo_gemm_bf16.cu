// halo_gemm with products in bf16.
#define XB_PRODUCT bf16
#include "kernels/conv2d/halo_gemm/kernels.cuh"
