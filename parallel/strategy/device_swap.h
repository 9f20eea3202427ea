// Two ranges of a device's memory change places: piece by piece through a third one where the host does not reach them.
// Counts are elements, f32.
#pragma once

#include <algorithm>
#include <cstddef>

#include "kernels/device.h"

namespace xbench {

class DeviceSwap {
public:
    // For ranges of at most so many elements. The device outlives it.
    DeviceSwap(Device& device, size_t most) : device_(device), at_once_(std::min(size_t{1} << 18, most)) {
        if (!device.is_host()) between_ = device.allocate(at_once_ * sizeof(float));
    }
    void operator()(float* a, float* b, size_t count) const {
        if (device_.is_host()) {
            std::swap_ranges(a, a + count, b);
            return;
        }
        for (size_t at = 0; at < count; at += at_once_) {
            const size_t bytes = std::min(at_once_, count - at) * sizeof(float);
            device_.copy(between_.data(), a + at, bytes);
            device_.copy(a + at, b + at, bytes);
            device_.copy(b + at, between_.data(), bytes);
        }
    }

private:
    Device& device_;
    const size_t at_once_;
    AlignedBuffer between_;
};

}  // namespace xbench
