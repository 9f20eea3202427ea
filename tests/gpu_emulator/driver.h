// What the files libcuda_*.cpp share. They hold the driver functions of the stand-in libcuda.so.1: those that a training
// program uses, with the meanings of the CUDA 13 driver API. Exported names carry the versions that cuda.h's macros give
// them.
#pragma once

#include "tests/gpu_emulator/machine.h"

#define XB_DRIVER    extern "C" __attribute__((visibility("default"))) CUresult
#define XB_FOR_TESTS extern "C" __attribute__((visibility("default")))

namespace xbench::ptx {

// CUDA_SUCCESS, or what a driver says that was not initialised, or to a thread without a context.
inline CUresult ready() {
    if (!machine().initialised) return CUDA_ERROR_NOT_INITIALIZED;
    if (!Machine::current()) return CUDA_ERROR_INVALID_CONTEXT;
    return machine().sticky_of_current();
}

// Of the device that is emulated: an A100's or, from capability 90 on, an H200's.
uint32_t most_shared_bytes();
constexpr uint32_t most_block_threads = 1024;
// How many blocks of a kernel a multiprocessor holds.
int blocks_at_a_time(const Kernel& kernel, int threads, size_t dynamic_shared);
// Of ptxas where the image held a cubin, else what the emulator needed (and that is less).
int registers_of(const Kernel& kernel);

}  // namespace xbench::ptx
