// The inner loop of the search for leaks: 100,000 images are 40 thousand million comparisons of 64 bits, so that it is worth
// an instruction that counts bits of eight words at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace xbench {

// Adds the places from `first` on whose hash differs from `hash`, or from its complement, in at most `most_bits` bits (below
// 32).
void near_hashes(uint64_t hash, const std::vector<uint64_t>& plain, size_t first, int most_bits,
                 std::vector<uint32_t>& places);

}  // namespace xbench
