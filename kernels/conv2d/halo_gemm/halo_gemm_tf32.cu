// halo_gemm with products in tf32.
#define XB_PRODUCT tf32
#include "kernels/conv2d/halo_gemm/kernels.cuh"
