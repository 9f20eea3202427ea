// Opening the driver, and what its errors mean to a user.
#include "kernels/cuda/driver.h"

#include <dlfcn.h>

#include <string_view>

namespace xbench {
namespace {

#define XB_TEXT_OF(name)          #name
#define XB_EXPANDED_TEXT_OF(name) XB_TEXT_OF(name)

constexpr const char* install_or_cpu = "install NVIDIA's driver, or compute on the CPU with --device cpu";
constexpr const char* update_it = "update NVIDIA's driver to one of CUDA 13 (580 or newer)";
constexpr int oldest_driver = 12000;  // whose functions XB_CUDA_DRIVER names

[[noreturn]] void no_driver(const std::string& why, const char* remedy = install_or_cpu) {
    throw Error("no CUDA driver: " + why, "device cuda", remedy);
}

std::string text_of_version(int version) {  // 12040 is 12.4
    return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// A file that is there and is no library for this machine is another fault than none.
[[noreturn]] void not_opened() {
    const char* const why = dlerror();
    if (!why || std::string_view(why).find("No such file") != std::string_view::npos)
        no_driver("libcuda.so.1 is not found here");
    no_driver("libcuda.so.1 is here and cannot be loaded: it is broken, or of another system",
              "install NVIDIA's driver again, look at LD_LIBRARY_PATH, or compute on the CPU with --device cpu");
}

void require_version(const CudaDriver& driver) {
    int version = 0;
    if (driver.cuDriverGetVersion(&version) == CUDA_SUCCESS && version < oldest_driver)
        throw Error("the CUDA driver is too old: it is of CUDA " + text_of_version(version), "device cuda", update_it);
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
        throw Error(std::string("the CUDA driver is too old: its libcuda.so.1 has no ") + missing, "device cuda", update_it);
}

void* open_library() { return dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL); }

CudaDriver open_driver() {
    void* const library = open_library();
    if (!library) not_opened();
    CudaDriver driver;
#define XB_FIND(name) find(library, XB_EXPANDED_TEXT_OF(name), driver.name);
    XB_CUDA_DRIVER(XB_FIND)
    XB_CUDA_DRIVER_OPTIONAL(XB_FIND)
#undef XB_FIND
    require_functions(driver);
    require_version(driver);
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

static std::string version_of_driver() {
    int version = 0;
    cuda_driver().cuDriverGetVersion(&version);
    return text_of_version(version);
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
            return "the driver, of CUDA " + version_of_driver() + ", is older than the kernels' PTX: " + update_it;
        case CUDA_ERROR_NO_BINARY_FOR_GPU: return "the kernels need compute capability 8.0 or more";
        case CUDA_ERROR_DEVICE_UNAVAILABLE:
            return "another process has the GPU for itself, or nobody may have it (nvidia-smi -q -d COMPUTE): use another "
                   "one, "
                   "or nvidia-smi -c DEFAULT";
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
        default: return "look at dmesg for Xid and at nvidia-smi, and start again with --resume";
    }
}

void check_cuda(CUresult result, const std::string& what, const std::string& where) {
    if (result == CUDA_SUCCESS) return;
    throw CudaError(result, what + ": " + text_of(result), where, remedy_of(result));
}

}  // namespace xbench
