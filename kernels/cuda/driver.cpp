// Opening the driver, and what its errors mean to a user.
#include "kernels/cuda/driver.h"

#include <dlfcn.h>

namespace xbench {
namespace {

#define XB_TEXT_OF(name)          #name
#define XB_EXPANDED_TEXT_OF(name) XB_TEXT_OF(name)

[[noreturn]] void no_driver(const std::string& why) {
    throw Error("no CUDA driver: " + why, "device cuda", "install NVIDIA's driver, or compute on the CPU with --device cpu");
}

template <class F>
void find(void* library, const char* name, F*& function) {
    function = reinterpret_cast<F*>(dlsym(library, name));
}

void require_functions(const CudaDriver& driver) {
    const char* missing = nullptr;
#define XB_REQUIRE(name) \
    if (!driver.name && !missing) missing = XB_EXPANDED_TEXT_OF(name);
    XB_CUDA_DRIVER(XB_REQUIRE)
#undef XB_REQUIRE
    if (missing)
        throw Error(std::string("the CUDA driver is too old: its libcuda.so.1 has no ") + missing, "device cuda",
                    "update NVIDIA's driver to one of CUDA 13 (580 or newer)");
}

void* open_library() { return dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL); }

CudaDriver open_driver() {
    void* const library = open_library();
    if (!library) no_driver("libcuda.so.1 is not found here");
    CudaDriver driver;
#define XB_FIND(name) find(library, XB_EXPANDED_TEXT_OF(name), driver.name);
    XB_CUDA_DRIVER(XB_FIND)
    XB_CUDA_DRIVER_OPTIONAL(XB_FIND)
#undef XB_FIND
    require_functions(driver);
    const CUresult result = driver.cuInit(0);
    if (result == CUDA_ERROR_NO_DEVICE) throw Error("the CUDA driver finds no GPU", "device cuda", remedy_of(result));
    if (result != CUDA_SUCCESS) {
        const char* name = nullptr;
        driver.cuGetErrorName(result, &name);
        no_driver(std::string("it does not start: ") + (name ? name : "unknown error"));
    }
    return driver;
}

}  // namespace

// A failure is not kept: whoever asks again is told again.
const CudaDriver& cuda_driver() {
    static const CudaDriver driver = open_driver();
    return driver;
}

void* driver_symbol(const char* name) {
    cuda_driver();
    static void* const library = open_library();
    return dlsym(library, name);
}

std::string text_of(CUresult result) {
    const char *name = nullptr, *text = nullptr;
    cuda_driver().cuGetErrorName(result, &name);
    cuda_driver().cuGetErrorString(result, &text);
    std::string all = name ? name : "CUDA error " + std::to_string(static_cast<int>(result));
    if (text && all != text) all += std::string(", ") + text;
    return all;
}

std::string remedy_of(CUresult result) {
    switch (result) {
        case CUDA_ERROR_NO_DEVICE:
            return "look at CUDA_VISIBLE_DEVICES and at what nvidia-smi says; in a Slurm job ask for GPUs";
        case CUDA_ERROR_OUT_OF_MEMORY: return "take a smaller batch, or stop who else uses the GPU (nvidia-smi)";
        case CUDA_ERROR_UNSUPPORTED_PTX_VERSION:
            return "the driver is older than the kernels' PTX: update it to one of CUDA 13 (580 or newer)";
        case CUDA_ERROR_NO_BINARY_FOR_GPU: return "the kernels need compute capability 8.0 or more";
        case CUDA_ERROR_DEVICE_UNAVAILABLE: return "another process has the GPU for itself (nvidia-smi -q -d COMPUTE)";
        case CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: return "the driver was updated: reboot, or load its kernel module again";
        case CUDA_ERROR_DEVICE_NOT_LICENSED:
        case CUDA_ERROR_ECC_UNCORRECTABLE:
        case CUDA_ERROR_NVLINK_UNCORRECTABLE:
        case CUDA_ERROR_HARDWARE_STACK_ERROR:
            return "the GPU is lost or defective: look at dmesg for Xid, and start again with --resume on another one";
        case CUDA_ERROR_LAUNCH_TIMEOUT: return "the GPU also drives a display: use another one";
        case CUDA_ERROR_ILLEGAL_ADDRESS:
        case CUDA_ERROR_MISALIGNED_ADDRESS:
        case CUDA_ERROR_LAUNCH_FAILED:
            return "a defect of a kernel: run again with CUDA_LAUNCH_BLOCKING=1, which names it, and report it";
        default: return "";
    }
}

void check_cuda(CUresult result, const std::string& what, const std::string& where) {
    if (result == CUDA_SUCCESS) return;
    throw CudaError(result, what + ": " + text_of(result), where, remedy_of(result));
}

}  // namespace xbench
