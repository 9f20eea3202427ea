// The checksum that HDF5's filter of this name leaves behind a chunk, for chunks that are handed to the file ready-made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace xbench {

// Big-endian words of 16 bits, sums that are folded before they overflow.
inline uint32_t fletcher32(std::span<const uint8_t> bytes) {
    constexpr size_t words_before_fold = 360;
    uint32_t sum = 0, sum_of_sums = 0;
    const auto fold = [](uint32_t value) { return (value & 0xffff) + (value >> 16); };
    for (size_t at = 0, words = 0; at < bytes.size(); at += 2) {
        const uint32_t low = at + 1 < bytes.size() ? bytes[at + 1] : 0;
        sum += uint32_t{bytes[at]} << 8 | low;
        sum_of_sums += sum;
        const bool last = at + 2 >= bytes.size();
        if (++words % words_before_fold == 0 || last) sum = fold(sum), sum_of_sums = fold(sum_of_sums);
    }
    return fold(sum_of_sums) << 16 | fold(sum);
}

}  // namespace xbench
