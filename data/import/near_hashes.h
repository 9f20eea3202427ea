// The inner loop of the search for leaks: 100,000 images are 40 thousand million comparisons of 64 bits, so that it is worth
// an instruction that counts bits of eight words at once, and an index where there are many.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "data/import/leak_hash.h"

namespace xbench {

// Hashes are near where they, or one of them and the other's complement, differ in at most so many bits.
inline constexpr int near_bits = 8;

// Of each image the hashes in all orientations. Calls met(thread, i, orientation, j) for i < j whenever hash `orientation`
// of i is near the hash of j as it is; each once, in no order. From `indexed_from` images on an index is used.
using NearPair = std::function<void(int thread, size_t i, size_t orientation, size_t j)>;
void near_pairs(std::span<const std::array<uint64_t, orientations>> hashes, int threads, const NearPair& met,
                size_t indexed_from = 16'384);

}  // namespace xbench
