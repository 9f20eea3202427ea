// For small functions that kernels on a CPU and on a GPU share, so that both compute with the same constants: nvcc builds
// them for both, a C++ compiler sees nothing.
#pragma once

#ifdef __CUDACC__
#define XB_HOST_DEVICE __host__ __device__
#else
#define XB_HOST_DEVICE
#endif
