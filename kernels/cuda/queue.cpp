// Launches on a stream.
#include "kernels/cuda/queue.h"

#include <algorithm>
#include <utility>

#include "kernels/cuda/gpu.h"
#include "kernels/registry.h"

namespace xbench {
namespace {

// "takes 3 arguments, was given 2", or "".
std::string misfit(const CudaGpu::Loaded& loaded, const CudaArguments& arguments) {
    if (!loaded.knows_parameters) return "";
    const auto& declared = loaded.parameter_bytes;
    if (declared.size() != arguments.count)
        return "takes " + std::to_string(declared.size()) + " arguments, was given " + std::to_string(arguments.count);
    for (size_t i = 0; i < declared.size(); ++i)
        if (declared[i] != arguments.sizes[i])
            return "takes " + std::to_string(declared[i]) + " bytes as argument " + std::to_string(i + 1) + ", was given " +
                   std::to_string(arguments.sizes[i]);
    return "";
}

// Allows so much dynamic shared memory, once.
CUresult allow_shared(CudaGpu::Loaded& loaded, unsigned bytes) {
    if (bytes <= loaded.shared_bytes) return CUDA_SUCCESS;
    const CUresult result = cuda_driver().cuFuncSetAttribute(
        loaded.function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, static_cast<int>(bytes));
    if (result == CUDA_SUCCESS) loaded.shared_bytes = bytes;
    return result;
}

}  // namespace

CudaQueue::CudaQueue(CudaGpu& gpu, void* stream) : gpu_(gpu), stream_(stream), multiprocessors_(gpu.multiprocessors()) {}

void CudaQueue::begin(const Kernel& kernel, const KernelArgs& args) {
    kernel_ = &kernel;
    args_ = &args;
    step_ = args.step ? args.step->on_device : nullptr;
}

std::string CudaQueue::place() const {
    return kernel_ ? std::string(kernel_->name) + ", " + to_string(*args_) : "between kernels";
}

void CudaQueue::keep_failure(int code, const std::string& what) noexcept try {
    if (failure_) return;
    failure_ = code ? code : CUDA_ERROR_UNKNOWN;
    what_failed_ = what + ", " + place();
} catch (...) {
    what_failed_ = "a launch";
}

void CudaQueue::throw_failure() {
    if (!failure_) return;
    const auto code = static_cast<CUresult>(failure_);
    failure_ = 0;
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    throw CudaError(code, what_failed_, gpu_.where(), remedy_of(code));
}

void CudaQueue::launch(const CudaFunction& function, Extent blocks, Extent threads, unsigned shared_bytes,
                       const CudaArguments& arguments) noexcept try {
    if (failure_ || blocks.x == 0 || blocks.y == 0 || blocks.z == 0) return;
    ++launches_;
    gpu_.use();
    CudaGpu::Loaded& loaded = gpu_.load(function);
    if (const std::string why = misfit(loaded, arguments); !why.empty())
        return keep_failure(CUDA_ERROR_INVALID_VALUE, std::string(function.name) + " " + why);
    CUresult result = allow_shared(loaded, shared_bytes);
    if (result == CUDA_SUCCESS)
        result = cuda_driver().cuLaunchKernel(loaded.function, blocks.x, blocks.y, blocks.z, threads.x, threads.y, threads.z,
                                              shared_bytes, static_cast<CUstream>(stream_), arguments.addresses, nullptr);
    if (result != CUDA_SUCCESS) keep_failure(result, std::string(function.name) + " was not launched: " + text_of(result));
} catch (const CudaError& error) {  // says itself where and what to do
    failure_ = error.result();
    thrown_ = std::current_exception();
} catch (const std::exception& error) {
    keep_failure(CUDA_ERROR_UNKNOWN, error.what());
}

void* CudaQueue::begin_library_call() noexcept {
    if (failure_) return nullptr;
    gpu_.use();
    return stream_;
}

void CudaQueue::zero(void* data, size_t bytes) noexcept {
    if (failure_ || bytes == 0) return;
    gpu_.use();
    const CUresult result =
        cuda_driver().cuMemsetD8Async(reinterpret_cast<CUdeviceptr>(data), 0, bytes, static_cast<CUstream>(stream_));
    if (result != CUDA_SUCCESS) keep_failure(result, "memory was not zeroed");
}

}  // namespace xbench
