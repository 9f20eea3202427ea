// What a row for CUDA sees of its device: it launches kernels of its .cu files, one behind the other, with arguments as the
// __global__ functions declare them. Nothing throws here: the queue keeps the first mistake, and the device throws it at its
// next wait. In a <stem>.cuda.cpp:
//
//     XB_CUDA_FUNCTION(scale, elementwise, xb_scale);     // extern "C" __global__ void xb_scale(float*, int64_t, float)
//     void run_scale(const KernelArgs& args, CudaQueue& queue) noexcept {
//         queue.launch(scale, {blocks}, {256}, 0, static_cast<float*>(args.out[0].data), count, 2.0f);
//     }
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <type_traits>

#include "kernels/kernel.h"

namespace xbench {

class CudaGpu;  // kernels/cuda/gpu.h

// Of a grid in blocks, or of a block in threads.
struct Extent {
    unsigned x = 1, y = 1, z = 1;
};

// A kernel by its name and the stem of the .cu file that holds it. Loaded on each device where it is first launched.
struct CudaFunction {
    const char* stem;
    const char* name;
};
#define XB_CUDA_FUNCTION(variable, stem, kernel_name) \
    constexpr CudaFunction variable { #stem, #kernel_name }

// Where each argument of a launch lies, and its size, which the queue compares with what the kernel declares.
struct CudaArguments {
    void** addresses;
    const size_t* sizes;
    size_t count;
};

class CudaQueue {
public:
    // `stream` is a CUstream of the GPU.
    CudaQueue(CudaGpu& gpu, void* stream);
    CudaQueue(const CudaQueue&) = delete;
    CudaQueue& operator=(const CudaQueue&) = delete;

    // Pointers, numbers and plain structs, each of exactly the type that the kernel declares: int64_t{1}, not 1. An empty
    // grid launches nothing. More than 48 KiB of dynamic shared memory need no more words than less.
    template <class... A>
    void launch(const CudaFunction& function, Extent blocks, Extent threads, unsigned shared_bytes,
                const A&... arguments) noexcept {
        static_assert((std::is_trivially_copyable_v<A> && ...), "a kernel's arguments are copied byte by byte");
        std::array<void*, sizeof...(A) + 1> addresses{const_cast<void*>(static_cast<const void*>(&arguments))..., nullptr};
        constexpr std::array<size_t, sizeof...(A) + 1> sizes{sizeof(A)..., 0};
        launch(function, blocks, threads, shared_bytes, CudaArguments{addresses.data(), sizes.data(), sizeof...(A)});
    }
    void zero(void* data, size_t bytes) noexcept;
    // For a row that calls a library: makes the GPU the calling thread's and returns the CUstream in whose order its calls
    // belong; null: something failed before. What it says of a failure goes to keep_failure().
    void* begin_library_call() noexcept;
    void keep_failure(int code, const std::string& what) noexcept;  // a CUresult, or 0

    // Of the running step, in the device's memory, as are its leaf_begin and sample_ids: for kernels, not for the host.
    const StepContext* step() const { return step_; }
    // For the sizes of grids only, never for the order of a sum.
    int multiprocessors() const { return multiprocessors_; }

    // ---- of the device
    // The row and the problem that are launched from now on, for messages.
    void begin(const Kernel& kernel, const KernelArgs& args);
    void throw_failure();                           // the first one, if there is one
    int64_t launches() const { return launches_; }  // that it was told of: for tests

private:
    void launch(const CudaFunction& function, Extent blocks, Extent threads, unsigned shared_bytes,
                const CudaArguments& arguments) noexcept;
    std::string place() const;

    CudaGpu& gpu_;
    void* const stream_;
    const int multiprocessors_;
    const StepContext* step_ = nullptr;
    const Kernel* kernel_ = nullptr;
    const KernelArgs* args_ = nullptr;
    int64_t launches_ = 0;
    int failure_ = 0;  // CUresult
    std::string what_failed_;
    std::exception_ptr thrown_;  // the failure, where it is one that was thrown
};

}  // namespace xbench
