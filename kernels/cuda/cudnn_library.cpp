// libcudnn.so.9 by dlopen.
#include "kernels/cuda/cudnn_library.h"

#include <map>
#include <mutex>

#include "kernels/cuda/devices.h"
#include "kernels/cuda/driver.h"
#include "kernels/cuda/library.h"

namespace xbench {
namespace {

Cudnn cudnn;

const char* missing_function(void* library) {
    const char* missing = nullptr;
#define XB_FIND(name) \
    if (!missing) missing = find_function(library, #name, cudnn.name);
    XB_FIND(cudnnGetVersion)
    XB_FIND(cudnnGetErrorString)
    XB_FIND(cudnnCreate)
    XB_FIND(cudnnSetStream)
    XB_FIND(cudnnCreateTensorDescriptor)
    XB_FIND(cudnnDestroyTensorDescriptor)
    XB_FIND(cudnnSetTensor4dDescriptor)
    XB_FIND(cudnnCreateFilterDescriptor)
    XB_FIND(cudnnDestroyFilterDescriptor)
    XB_FIND(cudnnSetFilter4dDescriptor)
    XB_FIND(cudnnCreateConvolutionDescriptor)
    XB_FIND(cudnnDestroyConvolutionDescriptor)
    XB_FIND(cudnnSetConvolution2dDescriptor)
    XB_FIND(cudnnSetConvolutionGroupCount)
    XB_FIND(cudnnSetConvolutionMathType)
    XB_FIND(cudnnCreateActivationDescriptor)
    XB_FIND(cudnnDestroyActivationDescriptor)
    XB_FIND(cudnnSetActivationDescriptor)
    XB_FIND(cudnnGetConvolutionForwardWorkspaceSize)
    XB_FIND(cudnnGetConvolutionBackwardDataWorkspaceSize)
    XB_FIND(cudnnGetConvolutionBackwardFilterWorkspaceSize)
    XB_FIND(cudnnConvolutionForward)
    XB_FIND(cudnnConvolutionBackwardData)
    XB_FIND(cudnnConvolutionBackwardFilter)
    XB_FIND(cudnnConvolutionBackwardBias)
    XB_FIND(cudnnAddTensor)
    XB_FIND(cudnnActivationForward)
#undef XB_FIND
    return missing;
}

std::string open_cudnn() {
    if (query_gpus().emulated) return "cuDNN knows no emulated GPU: run on a real one";
    void* const library = open_library({"libcudnn.so.9"});
    if (!library) return "libcudnn.so.9 is not found: install cuDNN 9, or add its folder to LD_LIBRARY_PATH";
    if (const char* const missing = missing_function(library))
        return std::string("libcudnn.so.9 has no ") + missing + ": install another cuDNN 9";
    CudnnHandle handle = nullptr;
    if (const int result = cudnn.cudnnCreate(&handle); result != cudnn_success)
        return "cuDNN " + std::to_string(cudnn.cudnnGetVersion()) + " finds no device (" +
               cudnn.cudnnGetErrorString(result) + "): look at what xbench doctor says of the GPUs";
    return "";
}

}  // namespace

const char* why_no_cudnn() {
    static const std::string why = open_cudnn();
    return why.empty() ? nullptr : why.c_str();
}

const Cudnn& cudnn_library() { return cudnn; }

CudnnHandle cudnn_handle() {
    static std::mutex mutex;
    static std::map<CUcontext, CudnnHandle> handles;
    CUcontext context = nullptr;
    cuda_driver().cuCtxGetCurrent(&context);
    const std::lock_guard lock(mutex);
    CudnnHandle& handle = handles[context];
    if (!handle && cudnn.cudnnCreate(&handle) != cudnn_success) handle = nullptr;
    return handle;
}

}  // namespace xbench
