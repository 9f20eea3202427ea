// Which elements a dropout keeps, on a GPU: the bits of core/philox.h for the same (seed, sample, step, element) as
// kernels/dropout/keep.h on a CPU. A dropout with p = 0 keeps everything.
#pragma once

#include "core/philox.h"
#include "kernels/kernel.h"

namespace xbench {

class KeepMask {
public:
    // Of images {channels, pixels}; `step` is in device memory.
    __device__ KeepMask(const Dropout& dropout, const StepContext* step, int64_t pixels)
        : dropout_(dropout),
          sample_ids_(step->sample_ids),
          seed_(step->seed),
          pixels_(pixels),
          stream_(random_stream(dropout.stream, step->step)) {}

    __device__ uint64_t key(int64_t image) const {
        return seed_ ^ (static_cast<uint64_t>(sample_ids_[image]) * 0x9E3779B97F4A7C15u);
    }
    // Four neighbouring elements of an image from `first`, a multiple of 4: bit i says whether first + i is kept.
    __device__ unsigned four(uint64_t key, int64_t first) const {
        const Philox4 bits = philox4x32(key, static_cast<uint64_t>(first) / 4, stream_);
        unsigned mask = 0;
#pragma unroll
        for (int i = 0; i < 4; ++i) mask |= (uniform01(bits.v[i]) >= dropout_.p ? 1u : 0u) << i;
        return mask;
    }
    // One element: `pixel` of a channel of the image with this key.
    __device__ bool keeps(uint64_t key, int64_t channel, int64_t pixel) const {
        if (dropout_.p == 0) return true;
        const int64_t element = dropout_.per_channel ? channel : channel * pixels_ + pixel;
        return four(key, element & ~int64_t{3}) >> (element & 3) & 1;
    }
    __device__ bool operator()(int64_t image, int64_t channel, int64_t pixel) const {
        return dropout_.p == 0 || keeps(key(image), channel, pixel);
    }
    __device__ bool on() const { return dropout_.p != 0; }
    __device__ float scale() const { return 1.0f / (1.0f - dropout_.p); }

private:
    Dropout dropout_;
    const int64_t* sample_ids_;
    uint64_t seed_;
    int64_t pixels_;
    uint64_t stream_;
};

}  // namespace xbench
