// Convolutions and their gradients as matrix products in bf16: kernels/conv2d/implicit_gemm/kernels.cuh says how.
#define XB_PRODUCT bf16
#include "kernels/conv2d/implicit_gemm/kernels.cuh"
