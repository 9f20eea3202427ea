// The memory of the emulated devices. Allocations lie apart (guard gaps) and addresses are never given out twice, so that an
// access out of bounds or after cuMemFree is seen. Each byte has a shadow byte (types.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tests/gpu_emulator/types.h"

namespace xbench::ptx {

constexpr int most_devices = 8;

struct Allocation {
    uint64_t address = 0, bytes = 0;
    std::string label;
    bool live = true;
    int device = 0;
    bool contains(uint64_t at, uint64_t count) const { return at >= address && at + count <= address + bytes; }
};

class DeviceMemory {
public:
    explicit DeviceMemory(int device);
    // 0: more than `total_bytes` would be in use.
    uint64_t allocate(uint64_t bytes, const std::string& label);
    bool free(uint64_t address);
    // The allocation that begins at or before the address, dead or alive; null: none.
    const Allocation* find(uint64_t address) const;
    // Only inside of an allocation.
    uint8_t* host(uint64_t address) const { return data_ + (address - base_); }
    uint8_t* shadow(uint64_t address) const { return shadow_ + (address - base_); }
    ptrdiff_t to_shadow() const { return shadow_ - data_; }
    // Whether the whole range lies in one living allocation.
    bool inside(uint64_t address, uint64_t bytes) const;
    uint64_t used_bytes() const { return used_; }

    uint64_t total_bytes = uint64_t{16} << 30;

private:
    uint64_t base_, next_;
    uint8_t *data_, *shadow_;
    uint64_t used_ = 0;
    std::map<uint64_t, Allocation> allocations_;
};

// Of the device, which is made on the first call.
DeviceMemory& device_memory(int device);
// XBENCH_EMULATED_GPUS, 1 unless set, of which CUDA_VISIBLE_DEVICES shows some.
int device_count();
int physical_device(int device);  // its number among all
// The device whose memory the address may lie in; -1: none.
int device_of(uint64_t address);

}  // namespace xbench::ptx
