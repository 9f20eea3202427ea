// Devices, contexts, errors' names.
#include <algorithm>
#include <cstring>

#include "tests/gpu_emulator/device_memory.h"
#include "tests/gpu_emulator/driver.h"
#include "tests/gpu_emulator/options.h"

using namespace xbench::ptx;

namespace {

struct ErrorText {
    CUresult code;
    const char *name, *text;
};
constexpr ErrorText error_texts[] = {
    {CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
    {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {CUDA_ERROR_DEINITIALIZED, "CUDA_ERROR_DEINITIALIZED", "driver shutting down"},
    {CUDA_ERROR_DEVICE_UNAVAILABLE, "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA-capable device(s) is/are busy or unavailable"},
    {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {CUDA_ERROR_ECC_UNCORRECTABLE, "CUDA_ERROR_ECC_UNCORRECTABLE", "uncorrectable ECC error encountered"},
    {CUDA_ERROR_INVALID_PTX, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {CUDA_ERROR_UNSUPPORTED_PTX_VERSION, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
     "the provided PTX was compiled with an unsupported toolchain."},
    {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {CUDA_ERROR_ILLEGAL_STATE, "CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"},
    {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {CUDA_ERROR_NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE, "CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE",
     "too many blocks in cooperative launch"},
    {CUDA_ERROR_NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
     "operation not permitted when stream is capturing"},
    {CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
    {CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not initiated in this stream"},
    {CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED",
     "capture sequence contains a fork that was not joined to the primary stream"},
    {CUDA_ERROR_CAPTURED_EVENT, "CUDA_ERROR_CAPTURED_EVENT",
     "operation not permitted on an event last recorded in a capturing stream"},
    {CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, "CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE",
     "the graph update was not performed because it included changes which violated constraints specific to instantiated "
     "graph update"},
    {CUDA_ERROR_UNKNOWN, "CUDA_ERROR_UNKNOWN", "unknown error"}};

const ErrorText* text_of(CUresult code) {
    const auto* const found =
        std::find_if(std::begin(error_texts), std::end(error_texts), [&](const ErrorText& e) { return e.code == code; });
    return found == std::end(error_texts) ? nullptr : found;
}

bool hopper() { return options().capability >= 90; }

int attribute_of(CUdevice_attribute attribute, CUdevice device) {
    switch (attribute) {
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: return options().capability / 10;
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: return options().capability % 10;
        case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: return 16;
        case CU_DEVICE_ATTRIBUTE_WARP_SIZE: return warp_lanes;
        case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
        case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
        case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y: return most_block_threads;
        case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z: return 64;
        case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X: return 0x7fffffff;
        case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
        case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z: return 65535;
        case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: return 2048;
        case CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR: return 32;
        case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK:
        case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR: return 65536;
        case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: return 48 << 10;
        case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: return static_cast<int>(most_shared_bytes());
        case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR: return (hopper() ? 228 : 164) << 10;
        case CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK: return 1 << 10;
        case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: return (hopper() ? 50 : 40) << 20;
        case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: return 5120;
        case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: return 1000000;  // kHz
        case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID: return physical_device(device) + 1;
        case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT: return 2;
        case CU_DEVICE_ATTRIBUTE_COMPUTE_MODE:
            return physical_device(device) == options().busy_device ? options().busy_mode : CU_COMPUTEMODE_DEFAULT;
        case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
        case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS:
        case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED:
        case CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH: return 1;
        default: return 0;
    }
}

bool exists(CUdevice device) { return device >= 0 && device < device_count(); }

}  // namespace

namespace xbench::ptx {
uint32_t most_shared_bytes() { return hopper() ? 227u << 10 : 163u << 10; }
}  // namespace xbench::ptx

XB_DRIVER cuInit(unsigned flags) {
    if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
    if (device_count() == 0) return CUDA_ERROR_NO_DEVICE;
    if (!machine().initialised) Machine::write_counts_at_exit();
    machine().initialised = true;
    return CUDA_SUCCESS;
}
XB_DRIVER cuDriverGetVersion(int* version) {
    *version = options().driver;
    return CUDA_SUCCESS;
}
XB_DRIVER cuDeviceGetCount(int* count) {
    if (!machine().initialised) return CUDA_ERROR_NOT_INITIALIZED;
    *count = device_count();
    return CUDA_SUCCESS;
}
XB_DRIVER cuDeviceGet(CUdevice* device, int ordinal) {
    if (!machine().initialised) return CUDA_ERROR_NOT_INITIALIZED;
    *device = ordinal;
    return exists(ordinal) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
XB_DRIVER cuDeviceGetName(char* name, int length, CUdevice device) {
    if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
    std::snprintf(name, static_cast<size_t>(length), "xbench emulated GPU");
    return CUDA_SUCCESS;
}
XB_DRIVER cuDeviceTotalMem_v2(size_t* bytes, CUdevice device) {
    if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
    *bytes = device_memory(device).total_bytes;
    return CUDA_SUCCESS;
}
XB_DRIVER cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device) {
    if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
    std::memset(uuid, 0, sizeof *uuid);
    uuid->bytes[15] = static_cast<char>(physical_device(device));
    return CUDA_SUCCESS;
}
XB_DRIVER cuDeviceGetPCIBusId(char* id, int length, CUdevice device) {
    if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
    std::snprintf(id, static_cast<size_t>(length), "0000:%02x:00.0", physical_device(device) + 1);
    return CUDA_SUCCESS;
}
XB_DRIVER cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
    if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
    *value = attribute_of(attribute, device);
    return CUDA_SUCCESS;
}
XB_DRIVER cuDeviceCanAccessPeer(int* can, CUdevice device, CUdevice peer) {
    if (!exists(device) || !exists(peer)) return CUDA_ERROR_INVALID_DEVICE;
    *can = 0;
    return CUDA_SUCCESS;
}
XB_DRIVER cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
    if (!machine().initialised) return CUDA_ERROR_NOT_INITIALIZED;
    if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
    if (physical_device(device) == options().busy_device) return CUDA_ERROR_DEVICE_UNAVAILABLE;
    const Machine::Lock lock;
    *context = machine().context(device);
    return CUDA_SUCCESS;
}
XB_DRIVER cuDevicePrimaryCtxRelease_v2(CUdevice) { return CUDA_SUCCESS; }
XB_DRIVER cuDevicePrimaryCtxGetState(CUdevice, unsigned* flags, int* active) {
    if (flags) *flags = 0;
    if (active) *active = 1;
    return CUDA_SUCCESS;
}
XB_DRIVER cuDevicePrimaryCtxSetFlags_v2(CUdevice, unsigned) { return CUDA_SUCCESS; }
XB_DRIVER cuCtxSetCurrent(CUcontext context) {
    Machine::current() = context;
    return CUDA_SUCCESS;
}
XB_DRIVER cuCtxGetCurrent(CUcontext* context) {
    *context = Machine::current();
    return CUDA_SUCCESS;
}
XB_DRIVER cuCtxPushCurrent_v2(CUcontext context) { return cuCtxSetCurrent(context); }
XB_DRIVER cuCtxGetDevice(CUdevice* device) {
    if (!Machine::current()) return CUDA_ERROR_INVALID_CONTEXT;
    *device = Machine::current_device();
    return CUDA_SUCCESS;
}
XB_DRIVER cuCtxSynchronize() {
    if (const CUresult result = ready()) return result;
    const Machine::Lock lock;
    if (const CUresult result = machine().forbidden_in_capture()) return result;
    return machine().run_device(Machine::current_device(), false);
}
XB_DRIVER cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    if (least) *least = 0;
    if (greatest) *greatest = -5;
    return CUDA_SUCCESS;
}
XB_DRIVER cuGetErrorName(CUresult error, const char** text) {
    const ErrorText* const found = text_of(error);
    *text = found ? found->name : nullptr;
    return found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
XB_DRIVER cuGetErrorString(CUresult error, const char** text) {
    const ErrorText* const found = text_of(error);
    *text = found ? found->text : nullptr;
    return found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
