// Gradients travel between ranks in 16 bits, so that a sum moves half the bytes. Every rank rounds its addends, adds what it
// receives for its own range in f32, in rank order, and rounds the sum, which all ranks then take. Replicas stay equal, with
// an error of two roundings. For the fast reduction only, and for gradients in host memory.
#pragma once

#include <cstdint>
#include <vector>

#include "core/communicator.h"

namespace xbench {

enum class HalfFormat { fp16, bf16 };

// Round to nearest, ties to even. fp16: beyond 65504 infinite, which the trainer's checks find; denormals are kept.
uint16_t to_half(float value, HalfFormat format);
float from_half(uint16_t half, HalfFormat format);

class HalfSum {
public:
    HalfSum(HalfFormat format, int ranks, size_t most_elements);
    // In place over all ranks. Returns the bytes that this rank has sent. Collective.
    size_t sum(float* data, size_t count, Communicator& over);

private:
    HalfFormat format_;
    std::vector<float> packed_;  // two elements in each
    std::vector<uint16_t> received_;
};

}  // namespace xbench
