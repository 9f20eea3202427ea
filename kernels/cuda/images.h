// The fat binaries of all *.cu files and the rows of all *.cuda.cpp files: both lists are written by
// cmake/xb_cuda_kernels.cmake.
#pragma once

#include <cstddef>
#include <span>

#include "kernels/kernel.h"

namespace xbench {

struct CudaImage {
    const char* stem;  // of the .cu file
    const void* data;  // what cuModuleLoadData takes
    size_t bytes;
};
std::span<const CudaImage> cuda_images();

// Best first within an operator: rows of files whose name comes first win.
std::span<KernelRows (*const)()> cuda_row_lists();

}  // namespace xbench
