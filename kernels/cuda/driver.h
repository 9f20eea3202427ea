// NVIDIA's driver library, opened at run time: the only file that does. No CUDA library is linked, so that the program
// starts where there is none and says so.
#pragma once

#include <cuda.h>

#include <string>

#include "core/error.h"

namespace xbench {

// Those that a program of any driver since CUDA 12 finds. cuda.h's macros make them the versions that it declares.
#define XB_CUDA_DRIVER(f)                                                                                                   \
    f(cuInit) f(cuDriverGetVersion) f(cuGetErrorName) f(cuGetErrorString) f(cuDeviceGetCount) f(cuDeviceGet)                \
        f(cuDeviceGetName) f(cuDeviceTotalMem) f(cuDeviceGetAttribute) f(cuDeviceGetPCIBusId) f(cuDevicePrimaryCtxRetain)   \
            f(cuDevicePrimaryCtxRelease) f(cuCtxSetCurrent) f(cuCtxGetCurrent) f(cuCtxSynchronize) f(cuModuleLoadData)      \
                f(cuModuleUnload) f(cuModuleGetFunction) f(cuFuncSetAttribute) f(cuFuncGetAttribute)                        \
                    f(cuOccupancyMaxActiveBlocksPerMultiprocessor) f(cuMemAlloc) f(cuMemFree) f(cuMemGetInfo)               \
                        f(cuMemHostAlloc) f(cuMemFreeHost) f(cuMemcpyAsync) f(cuMemsetD8Async) f(cuPointerGetAttribute)     \
                            f(cuStreamCreate) f(cuStreamDestroy) f(cuStreamSynchronize) f(cuStreamQuery)                    \
                                f(cuStreamWaitEvent) f(cuEventCreate) f(cuEventDestroy) f(cuEventRecord)                    \
                                    f(cuEventSynchronize) f(cuEventQuery) f(cuEventElapsedTime) f(cuStreamBeginCapture)     \
                                        f(cuStreamEndCapture) f(cuStreamIsCapturing) f(cuGraphInstantiate) f(cuGraphLaunch) \
                                            f(cuGraphExecDestroy) f(cuGraphDestroy) f(cuLaunchKernel)                       \
                                                f(cuLaunchCooperativeKernel) f(cuTensorMapEncodeTiled)
// Null where the driver is older than the function.
#define XB_CUDA_DRIVER_OPTIONAL(f) f(cuFuncGetParamInfo) f(cuDeviceGetUuid)

struct CudaDriver {
#define XB_MEMBER(name) decltype(&::name) name = nullptr;
    XB_CUDA_DRIVER(XB_MEMBER)
    XB_CUDA_DRIVER_OPTIONAL(XB_MEMBER)
#undef XB_MEMBER
};

// What the driver answers when it does not do what it was asked for.
class CudaError : public Error {
public:
    CudaError(CUresult code, const std::string& what, const std::string& where, const std::string& remedy)
        : Error(what, where, remedy), result_(code) {}
    CUresult result() const noexcept { return result_; }

private:
    CUresult result_;
};

// Opened and initialised, once. Throws Error: there is none, it lacks a function, it finds no device.
const CudaDriver& cuda_driver();
// A function that no CUDA driver has: of the emulated one of the tests. Null where it lacks it too.
void* driver_symbol(const char* name);

std::string text_of(CUresult result);    // "CUDA_ERROR_OUT_OF_MEMORY, out of memory"
std::string remedy_of(CUresult result);  // may be empty
// Throws CudaError unless it is CUDA_SUCCESS.
void check_cuda(CUresult result, const std::string& what, const std::string& where);

}  // namespace xbench
