// Random numbers for code that is not a kernel: initial weights, shuffles, splits, synthetic images.
// A Random is a position in one Philox stream. Equal (seed, use, index) give equal numbers on every machine.
#pragma once

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/philox.h"

namespace xbench {

// Streams that are not an operator of a graph; far above any node index.
enum class RandomUse : uint32_t {
    weights = 0xFFFF0000u,
    shuffle,
    split,
    synthetic,
    augment,
    bootstrap,
    test_data,
    tune,
    schedule
};

class Random {
public:
    Random(uint64_t seed, RandomUse use, uint32_t index = 0)
        : seed_(seed), stream_(random_stream(static_cast<uint32_t>(use), index)) {}

    uint32_t bits() {
        if (left_ == 0) {
            block_ = philox4x32(seed_, counter_++, stream_);
            left_ = 4;
        }
        return block_.v[4 - left_--];
    }
    float uniform() { return uniform01(bits()); }                                    // [0, 1)
    float uniform(float low, float high) { return low + (high - low) * uniform(); }  // [low, high)
    // Uniform integer in [0, bound), without modulo bias (Lemire's multiply and reject). bound >= 1.
    uint32_t below(uint32_t bound) {
        uint64_t product = uint64_t{bits()} * bound;
        if (static_cast<uint32_t>(product) < bound) {
            const uint32_t threshold = (0u - bound) % bound;
            while (static_cast<uint32_t>(product) < threshold) product = uint64_t{bits()} * bound;
        }
        return static_cast<uint32_t>(product >> 32);
    }
    // Standard normal by Box-Muller; draws two numbers a call.
    float normal() {
        const double radius = std::sqrt(-2.0 * std::log(1.0 - static_cast<double>(uniform())));
        return static_cast<float>(radius * std::cos(6.283185307179586 * static_cast<double>(uniform())));
    }
    // Fisher-Yates.
    template <class T>
    void shuffle(std::vector<T>& items) {
        for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(static_cast<uint32_t>(i))]);
    }

private:
    uint64_t seed_, stream_, counter_ = 0;
    Philox4 block_{};
    int left_ = 0;
};

}  // namespace xbench
