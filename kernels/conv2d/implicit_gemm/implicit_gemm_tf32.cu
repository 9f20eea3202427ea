// Convolutions and their gradients as matrix products in tf32: kernels/conv2d/implicit_gemm/kernels.cuh says how.
#define XB_PRODUCT tf32
#include "kernels/conv2d/implicit_gemm/kernels.cuh"
