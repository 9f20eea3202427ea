// Losses on their way from the device to the host. Each step copies its own behind its kernels, into staging memory for two
// steps. The host reads them when they have arrived; if the device is not the host's, the next step is already under way.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/device.h"

namespace xbench {

class LateLosses {
public:
    // So many numbers a step: one a pass or block of leaves.
    LateLosses(Device& device, size_t numbers);

    struct Sent {
        int64_t batch = 0, images = 0;
        uint32_t step = 0;
        const double* numbers = nullptr;
        DeviceEvent copied{};
    };
    // Where the copies of the next step go. Forgets the oldest of two that nobody has read.
    double* next();
    void send(int64_t batch, int64_t images, uint32_t step);  // all copies are ordered
    size_t waiting() const { return sent_ - read_; }
    // The oldest one's numbers, once they have come; then it counts as read.
    Sent read();
    // The newest one's, read or not.
    const double* newest();

private:
    double* slot(size_t number) const { return staging_.as<double>() + number % 2 * numbers_; }

    Device& device_;
    const size_t numbers_;
    const AlignedBuffer staging_;
    std::array<Sent, 2> ring_{};
    size_t sent_ = 0, read_ = 0;
};

}  // namespace xbench
