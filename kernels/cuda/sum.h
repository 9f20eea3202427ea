// The sum of Device::sum on a GPU: kernels/rank_sum/rank_sum.h says in which order, and the bits are those of the CPU.
// Shared with sum.cu.
#pragma once

#include <cstddef>
#include <cstdint>

namespace xbench {

enum { most_cuda_addends = 256 };  // so many fit the arguments of a launch

template <class T>
struct CudaAddends {
    const T* from[most_cuda_addends];
    uint8_t merges[most_cuda_addends];
    int32_t count;
};

}  // namespace xbench
