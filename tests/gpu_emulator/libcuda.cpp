// The driver functions of the stand-in libcuda.so.1: those that a training program uses, with the meanings of the CUDA 13
// driver API. emu* functions are the tests' own.
#include <dlfcn.h>

#include <array>
#include <chrono>
#include <cstring>

#include "tests/gpu_emulator/device_memory.h"
#include "tests/gpu_emulator/machine.h"
#include "tests/gpu_emulator/options.h"
#include "tests/gpu_emulator/report.h"

using namespace xbench::ptx;

#undef cuGetProcAddress
#define XB_DRIVER extern "C" __attribute__((visibility("default"))) CUresult

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

constexpr uint32_t most_threads = 1024, most_shared = 227 << 10;

CUresult launch_kernel(CUfunction function, const LaunchShape& shape, CUstream stream, void** arguments, void** extra) {
    Kernel* const kernel = function->kernel;
    const uint32_t threads = shape.threads[0] * shape.threads[1] * shape.threads[2];
    if (threads == 0 || threads > most_threads || (kernel->most_threads && threads > kernel->most_threads) ||
        shape.dynamic_shared > kernel->most_dynamic_shared || shape.grid[0] == 0 || shape.grid[1] == 0 || shape.grid[2] == 0)
        return CUDA_ERROR_INVALID_VALUE;
    auto buffer = std::make_shared<std::vector<uint8_t>>(kernel->parameter_bytes + 16);
    if (arguments)
        for (size_t p = 0; p < kernel->parameters.size(); ++p)
            std::memcpy(buffer->data() + kernel->parameters[p].offset, arguments[p], kernel->parameters[p].bytes);
    else if (extra)
        std::memcpy(buffer->data(), extra[1], std::min<size_t>(*static_cast<size_t*>(extra[3]), kernel->parameter_bytes));
    return machine().enqueue(
        stream, [=] { return launch(*kernel, shape, buffer->data()) ? CUDA_SUCCESS : CUDA_ERROR_ILLEGAL_ADDRESS; });
}

int attribute_of(CUdevice_attribute attribute) {
    switch (attribute) {
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: {
            const char* const asked = std::getenv("XBENCH_EMULATED_SM");
            return asked ? std::atoi(asked) / 10 : 8;
        }
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: return 0;
        case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: return 16;
        case CU_DEVICE_ATTRIBUTE_WARP_SIZE: return warp_lanes;
        case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: return most_threads;
        case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: return 48 << 10;
        case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: return most_shared;
        case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
        case CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH: return 1;
        default: return 0;
    }
}

}  // namespace

// ---- devices and contexts
XB_DRIVER cuInit(unsigned) { return device_count() > 0 ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE; }
XB_DRIVER cuDriverGetVersion(int* version) {
    *version = 13000;
    return CUDA_SUCCESS;
}
XB_DRIVER cuDeviceGetCount(int* count) {
    *count = device_count();
    return CUDA_SUCCESS;
}
XB_DRIVER cuDeviceGet(CUdevice* device, int ordinal) {
    *device = ordinal;
    return ordinal >= 0 && ordinal < device_count() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
XB_DRIVER cuDeviceGetName(char* name, int length, CUdevice) {
    std::snprintf(name, static_cast<size_t>(length), "emulated GPU");
    return CUDA_SUCCESS;
}
XB_DRIVER cuDeviceTotalMem_v2(size_t* bytes, CUdevice device) {
    *bytes = device_memory(device).total_bytes;
    return CUDA_SUCCESS;
}
XB_DRIVER cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device) {
    std::memset(uuid, 0, sizeof *uuid);
    uuid->bytes[0] = static_cast<char>(device);
    return CUDA_SUCCESS;
}
XB_DRIVER cuDeviceGetPCIBusId(char* id, int length, CUdevice device) {
    std::snprintf(id, static_cast<size_t>(length), "0000:%02x:00.0", device);
    return CUDA_SUCCESS;
}
XB_DRIVER cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice) {
    *value = attribute_of(attribute);
    return CUDA_SUCCESS;
}
XB_DRIVER cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
    *context = machine().context(device);
    return CUDA_SUCCESS;
}
XB_DRIVER cuDevicePrimaryCtxRelease_v2(CUdevice) { return CUDA_SUCCESS; }
XB_DRIVER cuCtxSetCurrent(CUcontext context) {
    Machine::current() = context;
    return CUDA_SUCCESS;
}
XB_DRIVER cuCtxGetCurrent(CUcontext* context) {
    *context = Machine::current();
    return CUDA_SUCCESS;
}
XB_DRIVER cuCtxGetDevice(CUdevice* device) {
    if (!Machine::current()) return CUDA_ERROR_INVALID_CONTEXT;
    *device = Machine::current_device();
    return CUDA_SUCCESS;
}
XB_DRIVER cuCtxSynchronize() {
    return machine().at_once([] { return CUDA_SUCCESS; });
}

// ---- modules and functions
XB_DRIVER cuModuleLoadData(CUmodule* module, const void* image) {
    const std::scoped_lock lock(machine().mutex);
    return machine().load(module, image);
}
XB_DRIVER cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned, CUjit_option*, void**) {
    return cuModuleLoadData(module, image);
}
XB_DRIVER cuModuleUnload(CUmodule) { return CUDA_SUCCESS; }
XB_DRIVER cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
    *function = machine().function(module, name);
    return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
XB_DRIVER cuModuleGetGlobal_v2(CUdeviceptr* address, size_t* bytes, CUmodule module, const char* name) {
    const auto found = module->variables.find(name);
    if (found == module->variables.end()) return CUDA_ERROR_NOT_FOUND;
    if (address) *address = found->second.address;
    if (bytes) *bytes = found->second.bytes;
    return CUDA_SUCCESS;
}
XB_DRIVER cuLibraryLoadData(CUlibrary* library, const void* code, CUjit_option*, void**, unsigned, CUlibraryOption*, void**,
                            unsigned) {
    return cuModuleLoadData(reinterpret_cast<CUmodule*>(library), code);
}
XB_DRIVER cuLibraryUnload(CUlibrary) { return CUDA_SUCCESS; }
XB_DRIVER cuLibraryGetKernel(CUkernel* kernel, CUlibrary library, const char* name) {
    return cuModuleGetFunction(reinterpret_cast<CUfunction*>(kernel), reinterpret_cast<CUmodule>(library), name);
}
XB_DRIVER cuKernelGetFunction(CUfunction* function, CUkernel kernel) {
    *function = reinterpret_cast<CUfunction>(kernel);
    return CUDA_SUCCESS;
}
XB_DRIVER cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
    if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) return CUDA_SUCCESS;
    if (value < 0 || static_cast<uint32_t>(value) > most_shared) return CUDA_ERROR_INVALID_VALUE;
    function->kernel->most_dynamic_shared = static_cast<uint32_t>(value);
    return CUDA_SUCCESS;
}
XB_DRIVER cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction function) {
    *value = attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK
                 ? static_cast<int>(function->kernel->most_threads ? function->kernel->most_threads : most_threads)
             : attribute == CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES
                 ? static_cast<int>(function->kernel->shared_bytes - shared_begin)
                 : 0;
    return CUDA_SUCCESS;
}
XB_DRIVER cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction, int, size_t) {
    *blocks = 2;
    return CUDA_SUCCESS;
}

// ---- memory
XB_DRIVER cuMemAlloc_v2(CUdeviceptr* address, size_t bytes) {
    const std::scoped_lock lock(machine().mutex);
    if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    *address =
        device_memory(Machine::current_device()).allocate(bytes, "an allocation of " + std::to_string(bytes) + " bytes");
    return *address ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
XB_DRIVER cuMemFree_v2(CUdeviceptr address) {
    return machine().at_once([=] {
        const int device = device_of(address);
        return device >= 0 && device_memory(device).free(address) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    });
}
XB_DRIVER cuMemGetInfo_v2(size_t* free, size_t* total) {
    const DeviceMemory& memory = device_memory(Machine::current_device());
    *total = memory.total_bytes;
    *free = memory.total_bytes - memory.used_bytes();
    return CUDA_SUCCESS;
}
XB_DRIVER cuMemHostAlloc(void** address, size_t bytes, unsigned) {
    const std::scoped_lock lock(machine().mutex);
    *address = machine().allocate_pinned(bytes);
    return *address ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
XB_DRIVER cuMemAllocHost_v2(void** address, size_t bytes) { return cuMemHostAlloc(address, bytes, 0); }
XB_DRIVER cuMemFreeHost(void* address) {
    return machine().at_once([=] { return machine().free_pinned(address) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; });
}
XB_DRIVER cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t bytes) {
    return machine().at_once([=] { return copy_to_device(to, from, bytes); });
}
XB_DRIVER cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t bytes) {
    return machine().at_once([=] { return copy_to_host(to, from, bytes); });
}
XB_DRIVER cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
    return machine().at_once([=] { return copy_on_device(to, from, bytes); });
}
// A driver reads pageable memory before it returns, and pinned memory when the stream comes to it.
XB_DRIVER cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
    if (machine().is_pinned(from)) return machine().enqueue(stream, [=] { return copy_to_device(to, from, bytes); });
    const auto begin = static_cast<const uint8_t*>(from);
    auto staged = std::make_shared<std::vector<uint8_t>>(begin, begin + bytes);
    return machine().enqueue(stream, [=] { return copy_to_device(to, staged->data(), bytes); });
}
XB_DRIVER cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
    return machine().enqueue(stream, [=] { return copy_to_host(to, from, bytes); });
}
XB_DRIVER cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
    return machine().enqueue(stream, [=] { return copy_on_device(to, from, bytes); });
}
XB_DRIVER cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
    const bool to_device = device_of(to) >= 0, from_device = device_of(from) >= 0;
    if (to_device && from_device) return cuMemcpyDtoDAsync_v2(to, from, bytes, stream);
    if (to_device) return cuMemcpyHtoDAsync_v2(to, reinterpret_cast<const void*>(from), bytes, stream);
    if (from_device) return cuMemcpyDtoHAsync_v2(reinterpret_cast<void*>(to), from, bytes, stream);
    return machine().enqueue(stream, [=] {
        std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
        return CUDA_SUCCESS;
    });
}
XB_DRIVER cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) {
    return machine().at_once([=] { return fill(to, value, count, 1); });
}
XB_DRIVER cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count) {
    return machine().at_once([=] { return fill(to, value, count, 4); });
}
XB_DRIVER cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
    return machine().enqueue(stream, [=] { return fill(to, value, count, 1); });
}
XB_DRIVER cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
    return machine().enqueue(stream, [=] { return fill(to, value, count, 4); });
}

// ---- streams and events
XB_DRIVER cuStreamCreate(CUstream* stream, unsigned) {
    const std::scoped_lock lock(machine().mutex);
    *stream = machine().create_stream();
    return CUDA_SUCCESS;
}
XB_DRIVER cuStreamCreateWithPriority(CUstream* stream, unsigned flags, int) { return cuStreamCreate(stream, flags); }
XB_DRIVER cuStreamDestroy_v2(CUstream stream) {
    const std::scoped_lock lock(machine().mutex);
    machine().destroy_stream(stream);
    return CUDA_SUCCESS;
}
XB_DRIVER cuStreamSynchronize(CUstream stream) {
    const std::scoped_lock lock(machine().mutex);
    return machine().run_all(stream);
}
XB_DRIVER cuStreamQuery(CUstream stream) { return cuStreamSynchronize(stream); }
XB_DRIVER cuStreamWaitEvent(CUstream stream, CUevent event, unsigned) {
    const std::scoped_lock lock(machine().mutex);
    if (event->captured) {
        if (stream) stream->captured = event->captured;
        return CUDA_SUCCESS;
    }
    const uint64_t wanted = event->recorded;
    const CUstream other = event->stream;
    return machine().enqueue(stream,
                             [=] { return event->done < wanted && other ? machine().run_all(other) : machine().sticky; });
}
XB_DRIVER cuEventCreate(CUevent* event, unsigned) {
    *event = new CUevent_st;
    return CUDA_SUCCESS;
}
XB_DRIVER cuEventDestroy_v2(CUevent event) {
    return machine().at_once([=] {
        delete event;
        return CUDA_SUCCESS;
    });
}
XB_DRIVER cuEventRecord(CUevent event, CUstream stream) {
    const std::scoped_lock lock(machine().mutex);
    event->captured = stream ? stream->captured : nullptr;
    if (event->captured) return CUDA_SUCCESS;
    const uint64_t number = ++event->recorded;
    event->stream = stream;
    return machine().enqueue(stream, [=] {
        event->done = std::max(event->done, number);
        event->seconds = now();
        return CUDA_SUCCESS;
    });
}
XB_DRIVER cuEventSynchronize(CUevent event) {
    const std::scoped_lock lock(machine().mutex);
    return event->done < event->recorded ? machine().run_all(event->stream) : machine().sticky;
}
XB_DRIVER cuEventQuery(CUevent event) { return event->done < event->recorded ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS; }
XB_DRIVER cuEventElapsedTime_v2(float* milliseconds, CUevent from, CUevent to) {
    if (from->done == 0 || to->done == 0) return CUDA_ERROR_NOT_READY;
    *milliseconds = static_cast<float>((to->seconds - from->seconds) * 1e3);
    return CUDA_SUCCESS;
}

// ---- graphs
XB_DRIVER cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode) {
    if (!stream || stream->captured) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    stream->captured = new CUgraph_st;
    return CUDA_SUCCESS;
}
XB_DRIVER cuStreamEndCapture(CUstream stream, CUgraph* graph) {
    const std::scoped_lock lock(machine().mutex);
    return machine().end_capture(stream, graph);
}
XB_DRIVER cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus* status) {
    *status = stream && stream->captured ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE;
    return CUDA_SUCCESS;
}
XB_DRIVER cuGraphInstantiateWithFlags(CUgraphExec* exec, CUgraph graph, unsigned long long) {
    *exec = new CUgraphExec_st{graph->operations};
    return CUDA_SUCCESS;
}
XB_DRIVER cuGraphLaunch(CUgraphExec exec, CUstream stream) {
    for (const Operation& operation : exec->operations)
        if (const CUresult result = machine().enqueue(stream, operation)) return result;
    return CUDA_SUCCESS;
}
XB_DRIVER cuGraphExecDestroy(CUgraphExec exec) {
    delete exec;
    return CUDA_SUCCESS;
}
XB_DRIVER cuGraphDestroy(CUgraph graph) {
    delete graph;
    return CUDA_SUCCESS;
}

// ---- launches
XB_DRIVER cuLaunchKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                         unsigned shared, CUstream stream, void** arguments, void** extra) {
    return launch_kernel(function, {{gx, gy, gz}, {bx, by, bz}, shared, false}, stream, arguments, extra);
}
XB_DRIVER cuLaunchCooperativeKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                                    unsigned bz, unsigned shared, CUstream stream, void** arguments) {
    return launch_kernel(function, {{gx, gy, gz}, {bx, by, bz}, shared, true}, stream, arguments, nullptr);
}
XB_DRIVER cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void** arguments, void** extra) {
    LaunchShape shape{{config->gridDimX, config->gridDimY, config->gridDimZ},
                      {config->blockDimX, config->blockDimY, config->blockDimZ},
                      config->sharedMemBytes,
                      false};
    for (unsigned a = 0; a < config->numAttrs; ++a)
        shape.cooperative |= config->attrs[a].id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE && config->attrs[a].value.cooperative;
    return launch_kernel(function, shape, config->hStream, arguments, extra);
}

XB_DRIVER cuTensorMapEncodeTiled(CUtensorMap* result, CUtensorMapDataType type, cuuint32_t rank, void* address,
                                 const cuuint64_t* dim, const cuuint64_t* stride, const cuuint32_t* box, const cuuint32_t*,
                                 CUtensorMapInterleave, CUtensorMapSwizzle swizzle, CUtensorMapL2promotion,
                                 CUtensorMapFloatOOBfill) {
    static_assert(sizeof(TensorMap) <= sizeof(CUtensorMap));
    TensorMap map{};
    map.magic = TensorMap::right_magic;
    map.address = reinterpret_cast<uint64_t>(address);
    map.rank = static_cast<uint8_t>(rank);
    map.swizzle = static_cast<uint8_t>(swizzle);
    map.element_bytes = type == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 || type == CU_TENSOR_MAP_DATA_TYPE_FLOAT16 ? 2 : 4;
    if (rank == 0 || rank > 5 || map.address % 16 != 0 || device_of(map.address) < 0) return CUDA_ERROR_INVALID_VALUE;
    for (cuuint32_t d = 0; d < rank; ++d) {
        map.dim[d] = static_cast<uint32_t>(dim[d]);
        map.box[d] = static_cast<uint16_t>(box[d]);
        if (d > 0) map.stride[d] = stride[d - 1];
        if (box[d] == 0 || box[d] > 256 || map.stride[d] % 16 != 0) return CUDA_ERROR_INVALID_VALUE;
    }
    if (swizzle == CU_TENSOR_MAP_SWIZZLE_128B && box[0] * map.element_bytes > 128) return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(result, &map, sizeof map);
    return CUDA_SUCCESS;
}

// ---- names
XB_DRIVER cuGetErrorName(CUresult error, const char** text) {
    switch (error) {
        case CUDA_SUCCESS: *text = "CUDA_SUCCESS"; break;
        case CUDA_ERROR_OUT_OF_MEMORY: *text = "CUDA_ERROR_OUT_OF_MEMORY"; break;
        case CUDA_ERROR_ILLEGAL_ADDRESS: *text = "CUDA_ERROR_ILLEGAL_ADDRESS"; break;
        case CUDA_ERROR_INVALID_VALUE: *text = "CUDA_ERROR_INVALID_VALUE"; break;
        default: *text = "an error of the emulated GPU"; break;
    }
    return CUDA_SUCCESS;
}
XB_DRIVER cuGetErrorString(CUresult error, const char** text) { return cuGetErrorName(error, text); }
XB_DRIVER cuGetProcAddress_v2(const char* symbol, void** function, int, cuuint64_t, CUdriverProcAddressQueryResult* result) {
    *function = nullptr;
    for (const char* const suffix : {"_v3", "_v2", ""})
        if (!*function) *function = dlsym(RTLD_DEFAULT, (std::string(symbol) + suffix).c_str());
    if (result) *result = *function ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

// ---- for tests
extern "C" __attribute__((visibility("default"))) unsigned long long emu_reports() { return reports(); }
extern "C" __attribute__((visibility("default"))) unsigned long long emu_reports_of(int fault) {
    return reports_of(static_cast<Fault>(fault));
}
extern "C" __attribute__((visibility("default"))) const char* emu_last_report() { return last_report().c_str(); }
extern "C" __attribute__((visibility("default"))) void emu_mode(int races, int counts, int quiet) {
    options().races = races != 0;
    options().counts = counts != 0;
    options().quiet = quiet != 0;
}
extern "C" __attribute__((visibility("default"))) void emu_forgive() { machine().sticky = CUDA_SUCCESS; }
// Sums over the kernel's instructions, by class: warps, lanes, sectors, ideal sectors, wavefronts, ideal ones, FLOPs.
extern "C" __attribute__((visibility("default"))) void emu_counts(CUfunction function, unsigned long long (*by_class)[7]) {
    const Kernel& kernel = *function->kernel;
    for (size_t i = 0; i < kernel.code.size(); ++i) {
        unsigned long long* const row = by_class[static_cast<size_t>(kernel.code[i].counted_as)];
        const Counter& counter = kernel.counters[i];
        const bool matrix = kernel.code[i].counted_as == Class::matrix;
        const std::array<uint64_t, 7> values{counter.warps,
                                             counter.lanes,
                                             counter.sectors,
                                             counter.ideal_sectors,
                                             counter.wavefronts,
                                             counter.ideal_wavefronts,
                                             (matrix ? counter.warps : counter.lanes) * kernel.code[i].flops};
        for (size_t v = 0; v < values.size(); ++v) row[v] += values[v];
    }
}
extern "C" __attribute__((visibility("default"))) void emu_reset_counts(CUfunction function) {
    for (Counter& counter : function->kernel->counters) counter = {};
}
