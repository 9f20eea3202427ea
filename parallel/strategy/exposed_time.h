// How long computing stood still for communication: by the host's clock where it computes, else between events in the
// device's order, which are read a step late so that no step waits for the device. Between the events of a step that is
// recorded and replayed there is no time: for it stands that of the last step that was not (is_sample_due()).
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
        if (device_ && device_->is_recording()) {
            newest_is_sample_ = false;
            return communicate();
        }
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
        if (!before_is_sample_)
            ns_ = sample_ns_;
        else if (device_)
            sample_ns_ = ns_;
        before_is_sample_ = std::exchange(newest_is_sample_, true);
        before_.clear();
        std::swap(before_, newest_);
        ++steps_;
        return std::exchange(ns_, 0);
    }
    void replayed() { newest_is_sample_ = false; }
    bool is_sample_due() const { return steps_ % steps_between_samples == 0; }

private:
    static constexpr int64_t steps_between_samples = 32;
    struct Span {
        DeviceEvent begin, end;
    };
    Device* const device_;  // null: the host
    int64_t ns_ = 0;
    std::vector<Span> newest_, before_;
    bool newest_is_sample_ = true, before_is_sample_ = true;
    int64_t sample_ns_ = 0, steps_ = 0;
};

}  // namespace xbench
