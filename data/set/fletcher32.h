// The checksum that HDF5's filter of this name leaves behind a chunk, for chunks that are handed to the file ready-made.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace xbench {

// Big-endian words of 16 bits, sums that are folded before they overflow. A run of words adds to the sum of sums what stood
// before it once a word, and each word as often as sums follow: a loop that the compiler makes vectors of.
inline uint32_t fletcher32(std::span<const uint8_t> bytes) {
    constexpr size_t words_before_fold = 360;
    uint32_t sum = 0, sum_of_sums = 0;
    const auto fold = [](uint32_t value) { return (value & 0xffff) + (value >> 16); };
    const auto add = [&](const uint8_t* words, uint32_t count) {
        uint32_t own = 0, weighted = 0;
        for (uint32_t i = 0; i < count; ++i) {
            const uint32_t word = uint32_t{words[2 * i]} << 8 | words[2 * i + 1];
            own += word;
            weighted += (count - i) * word;
        }
        sum_of_sums = fold(sum_of_sums + count * sum + weighted);
        sum = fold(sum + own);
    };
    const size_t whole = bytes.size() / 2;
    for (size_t at = 0; at < whole; at += words_before_fold)
        add(bytes.data() + 2 * at, static_cast<uint32_t>(std::min(words_before_fold, whole - at)));
    if (bytes.size() % 2 != 0) add(std::array<uint8_t, 2>{bytes.back(), 0}.data(), 1);
    return fold(sum_of_sums) << 16 | fold(sum);
}

}  // namespace xbench
