// Convolutions and their gradients as matrix products in f16: kernels/conv2d/implicit_gemm/kernels.cuh says how.
#define XB_PRODUCT f16
#include "kernels/conv2d/implicit_gemm/kernels.cuh"
