// Philox4x32-10, the counter-based random generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011. (key, counter) -> 128 random bits, without state. A random number therefore depends on its purpose
// (seed, step, sample, operator, element) and never on a rank, a thread or an order.
// Everything here is `static inline`: kernels built for one instruction set include it, and the linker could keep an
// external inline function that was compiled with AVX-512 for every caller.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace xbench {

struct Philox4 {
    uint32_t v[4];
};

XB_HOST_DEVICE static inline Philox4 philox4x32(uint64_t key, uint64_t counter_low, uint64_t counter_high) {
    uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
    uint32_t c0 = static_cast<uint32_t>(counter_low), c1 = static_cast<uint32_t>(counter_low >> 32);
    uint32_t c2 = static_cast<uint32_t>(counter_high), c3 = static_cast<uint32_t>(counter_high >> 32);
    for (int round = 0; round < 10; ++round) {
        const uint64_t p0 = uint64_t{0xD2511F53u} * c0, p1 = uint64_t{0xCD9E8D57u} * c2;
        const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0, n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
        c1 = static_cast<uint32_t>(p1);
        c3 = static_cast<uint32_t>(p0);
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return Philox4{{c0, c1, c2, c3}};
}

// What a random number is for. The high counter word; the low one is the logical element (or a quarter of it).
//   op:     the node's index in the graph for dropout, or one of the RandomUse values
//   sample: the image's index in its data set, so that a mask follows the image to whatever rank owns it
XB_HOST_DEVICE static inline uint64_t random_stream(uint32_t op, uint32_t step) { return (uint64_t{op} << 32) | step; }

// Uniform in [0, 1) with 24 random bits.
XB_HOST_DEVICE static inline float uniform01(uint32_t bits) { return static_cast<float>(bits >> 8) * (1.0f / 16777216.0f); }

}  // namespace xbench
