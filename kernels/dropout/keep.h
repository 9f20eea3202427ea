// Which elements of an image {c,h,w} a dropout keeps (Dropout in core/ops.h), one by one: what the references of dropout and
// of the poolings that a dropout is folded into share. A dropout with p = 0 is none: it keeps everything.
#pragma once

#include "core/philox.h"
#include "kernels/kernel.h"

namespace xbench {

class Keep {
public:
    Keep(const Dropout& dropout, const StepContext& step, int64_t height, int64_t width)
        : dropout_(dropout),
          step_(step),
          height_(height),
          width_(width),
          stream_(random_stream(dropout.stream, step.step)) {}

    bool operator()(int64_t n, int64_t c, int64_t h, int64_t w) const {
        const uint64_t key = step_.seed ^ (static_cast<uint64_t>(step_.sample_ids[n]) * 0x9E3779B97F4A7C15u);
        const auto element = static_cast<uint64_t>(dropout_.per_channel ? c : (c * height_ + h) * width_ + w);
        return dropout_.p == 0 || uniform01(philox4x32(key, element / 4, stream_).v[element % 4]) >= dropout_.p;
    }
    float scale() const { return 1.0f / (1.0f - dropout_.p); }

private:
    const Dropout& dropout_;
    const StepContext& step_;
    int64_t height_, width_;
    uint64_t stream_;
};

}  // namespace xbench
