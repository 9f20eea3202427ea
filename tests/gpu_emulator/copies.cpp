// Copies and fills that the host asks for.
#include <cstring>

#include "tests/gpu_emulator/device_memory.h"
#include "tests/gpu_emulator/machine.h"
#include "tests/gpu_emulator/report.h"

namespace xbench::ptx {
namespace {

// The memory of this range, or null, having said what is wrong.
DeviceMemory* memory_of(uint64_t address, size_t bytes, const char* what) {
    const int device = device_of(address);
    if (device >= 0 && device_memory(device).inside(address, bytes)) return &device_memory(device);
    const Allocation* const near = device >= 0 ? device_memory(device).find(address) : nullptr;
    const bool freed = near && !near->live && near->contains(address, bytes);
    report(freed ? Fault::use_after_free : Fault::out_of_bounds,
           std::string(what) + " of " + std::to_string(bytes) + " bytes" +
               (near ? " from byte " + std::to_string(address - near->address) + " of " + std::to_string(near->bytes) +
                           " of " + near->label
                     : std::string(" that lie in no allocation")));
    return nullptr;
}

}  // namespace

bool is_device_address(uint64_t address) { return address >= device_base; }

CUresult copy(uint64_t to, uint64_t from, size_t bytes) {
    if (bytes == 0) return CUDA_SUCCESS;
    DeviceMemory *target = nullptr, *source = nullptr;
    if (is_device_address(to) && !(target = memory_of(to, bytes, "a copy to the device"))) return CUDA_ERROR_INVALID_VALUE;
    if (is_device_address(from) && !(source = memory_of(from, bytes, "a copy from the device")))
        return CUDA_ERROR_INVALID_VALUE;
    std::memmove(target ? target->host(to) : reinterpret_cast<uint8_t*>(to),
                 source ? source->host(from) : reinterpret_cast<const uint8_t*>(from), bytes);
    if (target && source) std::memmove(target->shadow(to), source->shadow(from), bytes);
    if (target && !source) std::memset(target->shadow(to), written, bytes);
    return CUDA_SUCCESS;
}

CUresult fill(CUdeviceptr to, uint32_t value, size_t count, int width) {
    const size_t bytes = count * static_cast<size_t>(width);
    if (bytes == 0) return CUDA_SUCCESS;
    DeviceMemory* const memory = memory_of(to, bytes, "a fill");
    if (!memory) return CUDA_ERROR_INVALID_VALUE;
    if (width == 1) std::memset(memory->host(to), static_cast<int>(value & 255), bytes);
    for (size_t i = 0; width > 1 && i < count; ++i)
        std::memcpy(memory->host(to) + i * static_cast<size_t>(width), &value, static_cast<size_t>(width));
    std::memset(memory->shadow(to), written, bytes);
    return CUDA_SUCCESS;
}

}  // namespace xbench::ptx
