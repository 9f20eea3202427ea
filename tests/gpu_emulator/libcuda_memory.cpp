// Memory of devices and of the host, copies and fills.
#include <cstring>

#include "tests/gpu_emulator/device_memory.h"
#include "tests/gpu_emulator/driver.h"

using namespace xbench::ptx;

namespace {

constexpr auto copy_node = CU_GRAPH_NODE_TYPE_MEMCPY, fill_node = CU_GRAPH_NODE_TYPE_MEMSET;

uint64_t address_of(const void* host) { return reinterpret_cast<uint64_t>(host); }

CUresult copy_now(uint64_t to, uint64_t from, size_t bytes) {
    if (const CUresult result = ready()) return result;
    return machine().at_once([=] { return copy(to, from, bytes); });
}

// A driver reads pageable memory before it returns, and pinned memory when the stream comes to it; so does a graph with
// both.
CUresult copy_later(uint64_t to, uint64_t from, size_t bytes, CUstream stream) {
    if (const CUresult result = ready()) return result;
    const Machine::Lock lock;
    const bool capturing = !Machine::is_null(stream) && machine().knows(stream) && stream->capture;
    const auto* const host = reinterpret_cast<const uint8_t*>(from);
    if (is_device_address(from) || capturing || machine().is_pinned(host))
        return machine().enqueue(stream, copy_node, [=] { return copy(to, from, bytes); });
    auto staged = std::make_shared<std::vector<uint8_t>>(host, host + bytes);
    return machine().enqueue(stream, copy_node, [=] { return copy(to, address_of(staged->data()), bytes); });
}

CUresult fill_now(CUdeviceptr to, uint32_t value, size_t count, int width) {
    if (const CUresult result = ready()) return result;
    return machine().at_once([=] { return fill(to, value, count, width); });
}
CUresult fill_later(CUdeviceptr to, uint32_t value, size_t count, int width, CUstream stream) {
    if (const CUresult result = ready()) return result;
    const Machine::Lock lock;
    return machine().enqueue(stream, fill_node, [=] { return fill(to, value, count, width); });
}

CUresult allocate(CUdeviceptr* address, size_t bytes) {
    if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    *address =
        device_memory(Machine::current_device()).allocate(bytes, "an allocation of " + std::to_string(bytes) + " bytes");
    return *address ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
CUresult release(CUdeviceptr address) {
    const int device = device_of(address);
    return device >= 0 && device_memory(device).free(address) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace

XB_DRIVER cuMemAlloc_v2(CUdeviceptr* address, size_t bytes) {
    if (const CUresult result = ready()) return result;
    const Machine::Lock lock;
    if (const CUresult result = machine().forbidden_in_capture()) return result;
    return allocate(address, bytes);
}
// Waits for the device, as a driver does.
XB_DRIVER cuMemFree_v2(CUdeviceptr address) {
    if (!machine().initialised) return CUDA_ERROR_NOT_INITIALIZED;
    const Machine::Lock lock;
    if (address == 0) return CUDA_SUCCESS;
    if (const CUresult result = machine().forbidden_in_capture()) return result;
    if (const int device = device_of(address); device >= 0) machine().run_device(device, false);
    return release(address);
}
XB_DRIVER cuMemAllocAsync(CUdeviceptr* address, size_t bytes, CUstream stream) {
    if (const CUresult result = ready()) return result;
    const Machine::Lock lock;
    if (!machine().knows(stream)) return CUDA_ERROR_INVALID_HANDLE;
    return allocate(address, bytes);
}
XB_DRIVER cuMemFreeAsync(CUdeviceptr address, CUstream stream) {
    if (const CUresult result = ready()) return result;
    const Machine::Lock lock;
    return machine().enqueue(stream, CU_GRAPH_NODE_TYPE_MEM_FREE, [=] { return release(address); });
}
XB_DRIVER cuMemGetInfo_v2(size_t* free, size_t* total) {
    if (const CUresult result = ready()) return result;
    const Machine::Lock lock;
    const DeviceMemory& memory = device_memory(Machine::current_device());
    *total = memory.total_bytes;
    *free = memory.total_bytes - memory.used_bytes();
    return CUDA_SUCCESS;
}
XB_DRIVER cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* bytes, CUdeviceptr address) {
    const Machine::Lock lock;
    const int device = device_of(address);
    if (device < 0 || !device_memory(device).inside(address, 1)) return CUDA_ERROR_NOT_FOUND;
    const Allocation* const allocation = device_memory(device).find(address);
    if (base) *base = allocation->address;
    if (bytes) *bytes = allocation->bytes;
    return CUDA_SUCCESS;
}
XB_DRIVER cuPointerGetAttribute(void* data, CUpointer_attribute attribute, CUdeviceptr address) {
    const Machine::Lock lock;
    const int device = device_of(address);
    const bool on_device = device >= 0 && device_memory(device).inside(address, 1);
    const bool pinned = machine().is_pinned(reinterpret_cast<void*>(address));
    if (!on_device && !pinned) return CUDA_ERROR_INVALID_VALUE;
    switch (attribute) {
        case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
            *static_cast<unsigned*>(data) = on_device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
            return CUDA_SUCCESS;
        case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *static_cast<int*>(data) = on_device ? device : 0; return CUDA_SUCCESS;
        case CU_POINTER_ATTRIBUTE_CONTEXT:
            *static_cast<CUcontext*>(data) = machine().context(on_device ? device : 0);
            return CUDA_SUCCESS;
        case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: *static_cast<CUdeviceptr*>(data) = address; return CUDA_SUCCESS;
        case CU_POINTER_ATTRIBUTE_IS_MANAGED: *static_cast<int*>(data) = 0; return CUDA_SUCCESS;
        default: return CUDA_ERROR_NOT_SUPPORTED;
    }
}
XB_DRIVER cuMemHostAlloc(void** address, size_t bytes, unsigned) {
    if (const CUresult result = ready()) return result;
    if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    const Machine::Lock lock;
    *address = machine().allocate_pinned(bytes);
    return *address ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
XB_DRIVER cuMemAllocHost_v2(void** address, size_t bytes) { return cuMemHostAlloc(address, bytes, 0); }
// Waits for the caller's device. Not for others: ranks that are threads have one each, and another one's collective may wait
// for what this thread does next.
XB_DRIVER cuMemFreeHost(void* address) {
    const Machine::Lock lock;
    machine().run_device(Machine::current_device(), false);
    return machine().free_pinned(address) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
XB_DRIVER cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) { return copy_now(to, from, bytes); }
XB_DRIVER cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t bytes) { return copy_now(to, address_of(from), bytes); }
XB_DRIVER cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t bytes) { return copy_now(address_of(to), from, bytes); }
XB_DRIVER cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) { return copy_now(to, from, bytes); }
XB_DRIVER cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
    return copy_later(to, from, bytes, stream);
}
XB_DRIVER cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
    return copy_later(to, address_of(from), bytes, stream);
}
XB_DRIVER cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
    return copy_later(address_of(to), from, bytes, stream);
}
XB_DRIVER cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
    return copy_later(to, from, bytes, stream);
}
XB_DRIVER cuMemcpyPeerAsync(CUdeviceptr to, CUcontext, CUdeviceptr from, CUcontext, size_t bytes, CUstream stream) {
    return copy_later(to, from, bytes, stream);
}
XB_DRIVER cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) { return fill_now(to, value, count, 1); }
XB_DRIVER cuMemsetD16_v2(CUdeviceptr to, unsigned short value, size_t count) { return fill_now(to, value, count, 2); }
XB_DRIVER cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count) { return fill_now(to, value, count, 4); }
XB_DRIVER cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
    return fill_later(to, value, count, 1, stream);
}
XB_DRIVER cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count, CUstream stream) {
    return fill_later(to, value, count, 2, stream);
}
XB_DRIVER cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
    return fill_later(to, value, count, 4, stream);
}
