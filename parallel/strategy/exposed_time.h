// How long computing stood still for communication: by the host's clock where it computes, else between events in the
// device's order, which are read a step late so that no step waits for the device.
#pragma once

#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/device.h"

namespace xbench {

class ExposedTime {
public:
    explicit ExposedTime(Device& device) : device_(device.is_host() ? nullptr : &device) {}
    template <class F>
    void time(F&& communicate) {
        if (device_) {
            const DeviceEvent begin = device_->record();
            communicate();
            newest_.push_back({begin, device_->record()});
            return;
        }
        const auto start = std::chrono::steady_clock::now();
        communicate();
        ns_ += std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
    }
    // Nanoseconds since the last call; of another device than the host's: between the two calls before this one.
    int64_t take() {
        for (const auto& [begin, end] : before_) ns_ += device_->elapsed_ns(begin, end);
        before_.clear();
        std::swap(before_, newest_);
        return std::exchange(ns_, 0);
    }

private:
    struct Span {
        DeviceEvent begin, end;
    };
    Device* const device_;  // null: the host
    int64_t ns_ = 0;
    std::vector<Span> newest_, before_;
};

}  // namespace xbench
