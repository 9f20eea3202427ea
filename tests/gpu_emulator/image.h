// The PTX in what cuModuleLoadData gets: a text, or a fat binary as nvcc makes them; and what ptxas says of its kernels.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <map>
#include <string>

namespace xbench::ptx {

// Of a kernel in a cubin; 0: not known.
struct Compiled {
    int registers = 0;
    int stack_bytes = 0;  // a thread: local arrays and spilled registers
};

struct Image {
    CUresult result = CUDA_SUCCESS;
    std::string ptx;
    std::map<std::string, Compiled> compiled;
};

// As a driver of the version (13000) on a device of the capability (80) chooses. The PTX must not be compressed (nvcc
// --compress-mode none keeps it readable).
Image image_of(const void* data, int capability, int driver);

}  // namespace xbench::ptx
