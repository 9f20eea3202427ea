// The emulated GPU that the program runs on, which the double needs: operations in streams that may not be ready, and device
// memory in their bodies (tests/gpu_emulator/libcuda_tests.cpp).
#pragma once

#include <cuda.h>

#include <cstddef>
#include <string>

namespace xbench::nccl {

struct Emulator {
    CUresult (*enqueue)(CUstream, CUresult (*poll)(void*), void*, void (*release)(void*)) = nullptr;
    int (*stream_device)(CUstream) = nullptr;
    int (*device_of)(CUdeviceptr, size_t) = nullptr;
    void (*read)(void*, unsigned char* shadow, CUdeviceptr, size_t) = nullptr;
    void (*write)(CUdeviceptr, const void*, const unsigned char* shadow, size_t) = nullptr;
    void (*report)(const char*) = nullptr;
    void (*advance_collectives)(int device) = nullptr;
    CUresult (*current_device)(CUdevice*) = nullptr;
    CUresult (*is_capturing)(CUstream, CUstreamCaptureStatus*) = nullptr;
    CUresult (*allocate)(CUdeviceptr*, size_t) = nullptr;
    CUresult (*free)(CUdeviceptr) = nullptr;
};

// Null: libcuda.so.1 is not there or is not the emulated one.
const Emulator* emulator();

}  // namespace xbench::nccl
