// Modules, kernels, launches.
#include <dlfcn.h>

#include <algorithm>
#include <cstring>

#include "tests/gpu_emulator/device_memory.h"
#include "tests/gpu_emulator/driver.h"
#include "tests/gpu_emulator/options.h"

using namespace xbench::ptx;
#undef cuGetProcAddress

namespace {

constexpr int multiprocessor_threads = 2048, multiprocessor_blocks = 32, multiprocessor_registers = 65536;
constexpr int multiprocessors = 16, register_unit = 256;  // a warp gets registers in units

uint64_t& launches_of(int device) {
    static std::map<int, uint64_t> launches;
    return launches[device];
}

// A device that was lost answers so from then on.
CUresult launch_on_device(Kernel& kernel, const LaunchShape& shape, const void* parameters) {
    if (options().lost_device == kernel.device && ++launches_of(kernel.device) > options().lost_after)
        return static_cast<CUresult>(options().lost_code);
    return launch(kernel, shape, parameters) ? CUDA_SUCCESS : CUDA_ERROR_ILLEGAL_ADDRESS;
}

CUresult check_shape(const Kernel& kernel, const LaunchShape& shape) {
    const uint64_t threads = uint64_t{shape.threads[0]} * shape.threads[1] * shape.threads[2];
    const uint64_t blocks = uint64_t{shape.grid[0]} * shape.grid[1] * shape.grid[2];
    if (threads == 0 || threads > most_block_threads || (kernel.most_threads && threads > kernel.most_threads) ||
        blocks == 0 || shape.grid[0] > 0x7fffffff || shape.grid[1] > 65535 || shape.grid[2] > 65535 || shape.threads[2] > 64)
        return CUDA_ERROR_INVALID_VALUE;
    if (shape.dynamic_shared > kernel.most_dynamic_shared ||
        shape.dynamic_shared + kernel.shared_bytes - shared_begin > most_shared_bytes())
        return CUDA_ERROR_INVALID_VALUE;
    const auto resident = static_cast<uint64_t>(blocks_at_a_time(kernel, static_cast<int>(threads), shape.dynamic_shared));
    if (resident == 0) return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    if (shape.cooperative && blocks > resident * multiprocessors) return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
    return CUDA_SUCCESS;
}

CUresult launch_kernel(CUfunction function, const LaunchShape& shape, CUstream stream, void** arguments, void** extra) {
    if (const CUresult result = ready()) return result;
    if (!function) return CUDA_ERROR_INVALID_HANDLE;
    Kernel* const kernel = function->kernel;
    const Machine::Lock lock;
    if (!machine().knows(stream)) return CUDA_ERROR_INVALID_HANDLE;
    const int device = Machine::is_null(stream) ? Machine::current_device() : stream->device;
    if (device != kernel->device) return CUDA_ERROR_INVALID_HANDLE;
    if (const CUresult result = check_shape(*kernel, shape)) return result;
    auto buffer = std::make_shared<std::vector<uint8_t>>(kernel->parameter_bytes + 16);
    if (arguments)
        for (size_t p = 0; p < kernel->parameters.size(); ++p)
            std::memcpy(buffer->data() + kernel->parameters[p].offset, arguments[p], kernel->parameters[p].bytes);
    else if (extra)
        std::memcpy(buffer->data(), extra[1], std::min<size_t>(*static_cast<size_t*>(extra[3]), kernel->parameter_bytes));
    return machine().enqueue(stream, CU_GRAPH_NODE_TYPE_KERNEL,
                             [=] { return launch_on_device(*kernel, shape, buffer->data()); });
}

int attribute_of(const Kernel& kernel, CUfunction_attribute attribute) {
    switch (attribute) {
        case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
            return static_cast<int>(kernel.most_threads ? kernel.most_threads : most_block_threads);
        case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: return static_cast<int>(kernel.shared_bytes - shared_begin);
        case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
            return std::max(kernel.compiled.stack_bytes, static_cast<int>(kernel.local_bytes - local_begin));
        case CU_FUNC_ATTRIBUTE_NUM_REGS: return registers_of(kernel);
        case CU_FUNC_ATTRIBUTE_PTX_VERSION:
        case CU_FUNC_ATTRIBUTE_BINARY_VERSION: return options().capability;
        case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: return static_cast<int>(kernel.most_dynamic_shared);
        default: return 0;
    }
}

}  // namespace

namespace xbench::ptx {

int registers_of(const Kernel& kernel) {
    if (kernel.compiled.registers > 0) return kernel.compiled.registers;
    // Without machine code an estimate, but no more than __launch_bounds__ leaves: ptxas spills before it takes more.
    const int bound = std::max(static_cast<int>(kernel.most_threads), 1);
    const int most = std::min(multiprocessor_registers / ((bound + warp_lanes - 1) / warp_lanes * warp_lanes) / 8 * 8, 255);
    return std::clamp(static_cast<int>(kernel.live_register_bytes / (4 * warp_lanes)), 16, most);
}

int blocks_at_a_time(const Kernel& kernel, int threads, size_t dynamic_shared) {
    const int warps = (threads + warp_lanes - 1) / warp_lanes;
    int each_warp = (registers_of(kernel) * warp_lanes + register_unit - 1) / register_unit * register_unit;
    // What ptxas would have made of it is not known: one block fits.
    if (kernel.compiled.registers == 0) each_warp = std::min(each_warp, multiprocessor_registers / warps);
    const size_t shared = kernel.shared_bytes + dynamic_shared;  // with the KiB that the device keeps
    const size_t all_shared = most_shared_bytes() + shared_begin;
    return std::min({multiprocessor_blocks, multiprocessor_threads / (warps * warp_lanes),
                     multiprocessor_registers / (each_warp * warps), static_cast<int>(all_shared / shared)});
}

}  // namespace xbench::ptx

XB_DRIVER cuModuleLoadData(CUmodule* module, const void* image) {
    if (const CUresult result = ready()) return result;
    const Machine::Lock lock;
    return machine().load(module, image);
}
XB_DRIVER cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned, CUjit_option*, void**) {
    return cuModuleLoadData(module, image);
}
XB_DRIVER cuModuleLoadFatBinary(CUmodule* module, const void* image) { return cuModuleLoadData(module, image); }
XB_DRIVER cuModuleUnload(CUmodule module) {
    const Machine::Lock lock;
    machine().run_device(module->device, false);
    machine().unload(module);
    return CUDA_SUCCESS;
}
XB_DRIVER cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
    const Machine::Lock lock;
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
// A library of the real driver serves every context; this one belongs to the device that was current.
XB_DRIVER cuLibraryLoadData(CUlibrary* library, const void* code, CUjit_option*, void**, unsigned, CUlibraryOption*, void**,
                            unsigned) {
    return cuModuleLoadData(reinterpret_cast<CUmodule*>(library), code);
}
XB_DRIVER cuLibraryUnload(CUlibrary library) { return cuModuleUnload(reinterpret_cast<CUmodule>(library)); }
XB_DRIVER cuLibraryGetModule(CUmodule* module, CUlibrary library) {
    *module = reinterpret_cast<CUmodule>(library);
    return CUDA_SUCCESS;
}
XB_DRIVER cuLibraryGetKernel(CUkernel* kernel, CUlibrary library, const char* name) {
    return cuModuleGetFunction(reinterpret_cast<CUfunction*>(kernel), reinterpret_cast<CUmodule>(library), name);
}
XB_DRIVER cuLibraryGetGlobal(CUdeviceptr* address, size_t* bytes, CUlibrary library, const char* name) {
    return cuModuleGetGlobal_v2(address, bytes, reinterpret_cast<CUmodule>(library), name);
}
XB_DRIVER cuKernelGetFunction(CUfunction* function, CUkernel kernel) {
    *function = reinterpret_cast<CUfunction>(kernel);
    return CUDA_SUCCESS;
}
XB_DRIVER cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
    if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) return CUDA_SUCCESS;
    const uint32_t fixed = function->kernel->shared_bytes - shared_begin;
    if (value < 0 || static_cast<uint32_t>(value) + fixed > most_shared_bytes()) return CUDA_ERROR_INVALID_VALUE;
    function->kernel->most_dynamic_shared = static_cast<uint32_t>(value);
    return CUDA_SUCCESS;
}
XB_DRIVER cuFuncSetCacheConfig(CUfunction, CUfunc_cache) { return CUDA_SUCCESS; }
XB_DRIVER cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction function) {
    *value = attribute_of(*function->kernel, attribute);
    return CUDA_SUCCESS;
}
XB_DRIVER cuFuncGetName(const char** name, CUfunction function) {
    *name = function->kernel->name.c_str();
    return CUDA_SUCCESS;
}
XB_DRIVER cuFuncGetParamInfo(CUfunction function, size_t index, size_t* offset, size_t* bytes) {
    const auto& parameters = function->kernel->parameters;
    if (index >= parameters.size()) return CUDA_ERROR_INVALID_VALUE;
    *offset = parameters[index].offset;
    if (bytes) *bytes = parameters[index].bytes;
    return CUDA_SUCCESS;
}
XB_DRIVER cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction function, int threads, size_t dynamic_shared) {
    if (threads <= 0) return CUDA_ERROR_INVALID_VALUE;
    *blocks = blocks_at_a_time(*function->kernel, threads, dynamic_shared);
    return CUDA_SUCCESS;
}
XB_DRIVER cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, CUfunction function, int threads,
                                                               size_t dynamic_shared, unsigned) {
    return cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, function, threads, dynamic_shared);
}

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

XB_DRIVER cuGetProcAddress_v2(const char* symbol, void** function, int, cuuint64_t, CUdriverProcAddressQueryResult* result) {
    static void* const self = [] {
        Dl_info info;
        dladdr(reinterpret_cast<void*>(&machine), &info);
        return dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    }();
    *function = nullptr;
    for (const char* const suffix : {"_v3", "_v2", ""})
        if (!*function) *function = dlsym(self, (std::string(symbol) + suffix).c_str());
    if (result) *result = *function ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
