// libcublasLt.so by dlopen: that of CUDA 13, or of 12.
#include "kernels/cuda/cublaslt_library.h"

#include <map>
#include <mutex>

#include "kernels/cuda/devices.h"
#include "kernels/cuda/driver.h"
#include "kernels/cuda/library.h"

namespace xbench {
namespace {

CublasLt cublaslt;

const char* missing_function(void* library) {
    const char* missing = nullptr;
#define XB_FIND(name) \
    if (!missing) missing = find_function(library, #name, cublaslt.name);
    XB_FIND(cublasLtGetVersion)
    XB_FIND(cublasLtGetStatusString)
    XB_FIND(cublasLtCreate)
    XB_FIND(cublasLtMatmulDescCreate)
    XB_FIND(cublasLtMatmulDescDestroy)
    XB_FIND(cublasLtMatmulDescSetAttribute)
    XB_FIND(cublasLtMatrixLayoutCreate)
    XB_FIND(cublasLtMatrixLayoutDestroy)
    XB_FIND(cublasLtMatmul)
#undef XB_FIND
    return missing;
}

std::string open_cublaslt() {
    if (query_gpus().emulated) return "cuBLASLt knows no emulated GPU: run on a real one";
    void* const library = open_library({"libcublasLt.so.13", "libcublasLt.so.12"});
    if (!library) return "libcublasLt.so.13 is not found: install cuBLAS 13, or add its folder to LD_LIBRARY_PATH";
    if (const char* const missing = missing_function(library))
        return std::string("libcublasLt has no ") + missing + ": install cuBLAS 13";
    CublasLtHandle handle = nullptr;
    if (const int result = cublaslt.cublasLtCreate(&handle); result != cublaslt_success)
        return "cuBLASLt " + std::to_string(cublaslt.cublasLtGetVersion()) + " finds no device (" +
               cublaslt.cublasLtGetStatusString(result) + "): look at what xbench doctor says of the GPUs";
    return "";
}

}  // namespace

const char* why_no_cublaslt() {
    static const std::string why = open_cublaslt();
    return why.empty() ? nullptr : why.c_str();
}

const CublasLt& cublaslt_library() { return cublaslt; }

CublasLtHandle cublaslt_handle() {
    static std::mutex mutex;
    static std::map<CUcontext, CublasLtHandle> handles;
    CUcontext context = nullptr;
    cuda_driver().cuCtxGetCurrent(&context);
    const std::lock_guard lock(mutex);
    CublasLtHandle& handle = handles[context];
    if (!handle && cublaslt.cublasLtCreate(&handle) != cublaslt_success) handle = nullptr;
    return handle;
}

}  // namespace xbench
