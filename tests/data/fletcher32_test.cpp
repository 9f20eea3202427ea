// The checksum of chunks that go to the file ready-made is the one that HDF5's filter makes, a word at a time.
#include "data/set/fletcher32.h"

#include <gtest/gtest.h>

#include <vector>

namespace xbench {
namespace {

uint32_t word_by_word(std::span<const uint8_t> bytes) {
    uint32_t sum = 0, sum_of_sums = 0;
    const auto fold = [](uint32_t value) { return (value & 0xffff) + (value >> 16); };
    const auto add = [&](uint32_t word) { sum_of_sums += sum += word; };
    for (size_t at = 0; at + 1 < bytes.size(); at += 2) {
        add(uint32_t{bytes[at]} << 8 | bytes[at + 1]);
        if ((at / 2 + 1) % 360 == 0 || at + 3 >= bytes.size()) sum = fold(sum), sum_of_sums = fold(sum_of_sums);
    }
    if (bytes.size() % 2 != 0) add(uint32_t{bytes.back()} << 8), sum = fold(sum), sum_of_sums = fold(sum_of_sums);
    return fold(sum_of_sums) << 16 | fold(sum);
}

TEST(Fletcher32, IsTheSumOfALoopOverWords) {
    std::vector<uint8_t> bytes;
    for (const size_t size : {1u, 2u, 3u, 719u, 720u, 721u, 722u, 1441u, 3072u, 5000u}) {
        bytes.assign(size, 0xff);
        EXPECT_EQ(fletcher32(bytes), word_by_word(bytes)) << size;
        for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i * i * 31 + i * 7);
        EXPECT_EQ(fletcher32(bytes), word_by_word(bytes)) << size;
    }
}

}  // namespace
}  // namespace xbench
