// Sums of rounded gradients.
#include "parallel/strategy/compression.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace xbench {
namespace {

// `bits` shifted right, rounded to nearest, ties to even.
uint32_t round_off(uint32_t bits, int shift) {
    const uint32_t odd = (bits >> shift) & 1;
    return (bits + (uint32_t{1} << (shift - 1)) - 1 + odd) >> shift;
}

uint16_t to_bf16(uint32_t bits) {
    if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>((bits >> 16) | 0x40);  // a NaN stays one
    return static_cast<uint16_t>(round_off(bits, 16));
}

uint16_t to_fp16(uint32_t bits) {
    const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
    const uint32_t magnitude = bits & 0x7fffffff;
    const auto exponent = static_cast<int>(magnitude >> 23) - 127;
    uint32_t half = 0;
    if (magnitude > 0x7f800000) {
        half = 0x7e00;  // NaN
    } else if (exponent > 15) {
        half = 0x7c00;
    } else if (exponent >= -14) {
        half = round_off(magnitude - (uint32_t{112} << 23), 13);  // may carry into the exponent, up to infinity
    } else if (exponent >= -25) {
        half = round_off((magnitude & 0x7fffff) | 0x800000, -1 - exponent);  // denormal: units of 2^-24
    }
    return static_cast<uint16_t>(sign | half);
}

float from_fp16(uint16_t half) {
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16, exponent = (half >> 10) & 31, mantissa = half & 0x3ff;
    if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000 | mantissa << 13);
    if (exponent > 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
}

}  // namespace

uint16_t to_half(float value, HalfFormat format) {
    const auto bits = std::bit_cast<uint32_t>(value);
    return format == HalfFormat::bf16 ? to_bf16(bits) : to_fp16(bits);
}

float from_half(uint16_t half, HalfFormat format) {
    return format == HalfFormat::bf16 ? std::bit_cast<float>(static_cast<uint32_t>(half) << 16) : from_fp16(half);
}

HalfSum::HalfSum(HalfFormat format, int ranks, size_t most_elements) : format_(format), packed_((most_elements + 1) / 2) {
    size_t widest = 0;
    for (int r = 0; r < ranks; ++r) {
        const RankRange range = range_of_rank(packed_.size(), r, ranks);
        widest = std::max(widest, 2 * (range.end - range.begin));
    }
    received_.resize(widest * static_cast<size_t>(ranks));
}

size_t HalfSum::sum(float* data, size_t count, Communicator& over) {
    const size_t words = (count + 1) / 2;
    auto* const halves = reinterpret_cast<uint16_t*>(packed_.data());
    for (size_t i = 0; i < count; ++i) halves[i] = to_half(data[i], format_);
    if (count % 2) halves[count] = 0;
    const auto range = [&](int r) { return range_of_rank(words, r, over.size()); };
    const RankRange mine = range(over.rank());
    const size_t width = 2 * (mine.end - mine.begin);
    size_t sent = 0;
    // A ring step has one size on all ranks, that of the widest range; a narrower one comes with some of its neighbours.
    size_t widest = 0;
    for (int r = 0; r < over.size(); ++r) widest = std::max(widest, 2 * (range(r).end - range(r).begin));
    for (int distance = 1; distance < over.size(); ++distance) {
        const RankRange theirs = range((over.rank() + distance) % over.size());
        const size_t first = std::min(2 * theirs.begin, 2 * words - widest);
        const int source = (over.rank() - distance + over.size()) % over.size();
        over.shift(halves + first, received_.data() + static_cast<size_t>(source) * widest, widest * sizeof(uint16_t),
                   distance);
        sent += widest * sizeof(uint16_t);
    }
    const size_t skip = 2 * mine.begin - std::min(2 * mine.begin, 2 * words - widest);
    for (size_t i = 0; i < width; ++i) {
        float total = 0;
        for (int r = 0; r < over.size(); ++r)
            total += from_half(
                r == over.rank() ? halves[2 * mine.begin + i] : received_[static_cast<size_t>(r) * widest + skip + i],
                format_);
        halves[2 * mine.begin + i] = to_half(total, format_);
    }
    over.all_gather(packed_.data(), words);  // copies bytes
    sent += width * sizeof(uint16_t) * static_cast<size_t>(over.size() - 1);
    for (size_t i = 0; i < count; ++i) data[i] = from_half(halves[i], format_);
    return sent;
}

}  // namespace xbench
