// One reservation of address space a device, filled by the system when it is touched.
#include "tests/gpu_emulator/device_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <vector>

namespace xbench::ptx {
namespace {

constexpr uint64_t alignment = 512, gap = 4096;

uint8_t* reserve(uint64_t bytes) {
    void* const at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) throw std::runtime_error("the emulated GPU cannot reserve its address space");
    return static_cast<uint8_t*>(at);
}

}  // namespace

DeviceMemory::DeviceMemory(int device)
    : base_(device_base + static_cast<uint64_t>(device) * device_bytes),
      next_(base_ + gap),
      data_(reserve(device_bytes)),
      shadow_(reserve(device_bytes)) {}

uint64_t DeviceMemory::allocate(uint64_t bytes, const std::string& label) {
    if (used_ + bytes > total_bytes || next_ + bytes + gap > base_ + device_bytes) return 0;
    Allocation allocation;
    allocation.address = next_;
    allocation.bytes = bytes;
    allocation.label = label;
    allocation.device = static_cast<int>((base_ - device_base) / device_bytes);
    next_ += (bytes + alignment - 1) / alignment * alignment + gap;
    used_ += bytes;
    allocations_[allocation.address] = allocation;
    return allocation.address;
}

bool DeviceMemory::free(uint64_t address) {
    const auto found = allocations_.find(address);
    if (found == allocations_.end() || !found->second.live) return false;
    found->second.live = false;
    used_ -= found->second.bytes;
    // Whole pages go back to the system; what is left between two allocations is at most a page each.
    constexpr uint64_t page = 4096;
    const uint64_t begin = (address + page - 1) / page * page, end = (address + found->second.bytes) / page * page;
    if (end > begin) {
        madvise(host(begin), end - begin, MADV_DONTNEED);
        madvise(shadow(begin), end - begin, MADV_DONTNEED);
    }
    return true;
}

const Allocation* DeviceMemory::find(uint64_t address) const {
    const auto after = allocations_.upper_bound(address);
    return after == allocations_.begin() ? nullptr : &std::prev(after)->second;
}

bool DeviceMemory::inside(uint64_t address, uint64_t bytes) const {
    const Allocation* const allocation = find(address);
    return allocation && allocation->live && allocation->contains(address, bytes);
}

namespace {

// As a driver reads CUDA_VISIBLE_DEVICES: up to the first number that is none.
std::vector<int> visible_devices() {
    const char* const asked = std::getenv("XBENCH_EMULATED_GPUS");
    const int all = asked ? std::clamp(std::atoi(asked), 0, most_devices) : 1;
    std::vector<int> devices;
    const char* text = std::getenv("CUDA_VISIBLE_DEVICES");
    if (!text) {
        for (int d = 0; d < all; ++d) devices.push_back(d);
        return devices;
    }
    for (char* end = nullptr;; text = end + 1) {
        const long device = std::strtol(text, &end, 10);
        if (end == text || device < 0 || device >= all) return devices;
        devices.push_back(static_cast<int>(device));
        if (*end != ',') return devices;
    }
}

const std::vector<int>& devices() {
    static const std::vector<int> all = visible_devices();
    return all;
}

}  // namespace

int device_count() { return static_cast<int>(devices().size()); }
int physical_device(int device) { return devices()[static_cast<size_t>(device)]; }

DeviceMemory& device_memory(int device) {
    static auto& all = *new std::vector<std::unique_ptr<DeviceMemory>>(most_devices);
    auto& memory = all[static_cast<size_t>(device)];
    if (!memory) {
        memory = std::make_unique<DeviceMemory>(device);
        if (const char* const bytes = std::getenv("XBENCH_EMULATED_GPU_MEMORY"))
            memory->total_bytes = std::strtoull(bytes, nullptr, 0);
    }
    return *memory;
}

int device_of(uint64_t address) {
    if (address < device_base) return -1;
    const uint64_t device = (address - device_base) / device_bytes;
    return device < static_cast<uint64_t>(device_count()) ? static_cast<int>(device) : -1;
}

}  // namespace xbench::ptx
