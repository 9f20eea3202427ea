// The 16-bit floating-point types of PTX as C++ types whose arithmetic is done in double, and rounded once, to nearest even:
// sums and products of two of them are exact in double, and so is a product plus a third but for cases that no kernel meets.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace xbench::ptx {

// `value` rounded to `fraction_bits` bits after the leading one, with the smallest exponent `lowest`, as sign, exponent and
// fraction of a 16-bit format.
inline uint16_t round_to_16_bits(double value, int fraction_bits, int lowest) {
    const auto bits = std::bit_cast<uint64_t>(value);
    const auto sign = static_cast<uint16_t>(bits >> 48 & 0x8000);
    const int exponent = static_cast<int>(bits >> 52 & 2047) - 1023;
    const uint64_t fraction = bits & ((uint64_t{1} << 52) - 1), infinite = ((uint64_t{1} << (15 - fraction_bits)) - 1)
                                                                           << fraction_bits;
    if (exponent == 1024) return fraction ? 0x7fff : static_cast<uint16_t>(sign | infinite);
    const int below = std::max(0, lowest - exponent), drop = 52 - fraction_bits + below;
    if (exponent == -1023 || drop > 54) return sign;
    const uint64_t whole = fraction | uint64_t{1} << 52, half = uint64_t{1} << (drop - 1);
    const uint64_t kept = (whole + half - 1 + (whole >> drop & 1)) >> drop;
    // What was rounded up to the next power of two moves into the exponent by itself.
    const uint64_t all = (below > 0 ? 0 : static_cast<uint64_t>(exponent - lowest) << fraction_bits) + kept;
    return static_cast<uint16_t>(sign | std::min(all, infinite));
}

inline float half_to_float(uint16_t bits) {
    const uint32_t magnitude = bits & 0x7fff, sign = static_cast<uint32_t>(bits & 0x8000) << 16;
    // Not by a subnormal float: the program may have its processor take these for zero.
    const auto small = std::bit_cast<uint32_t>(static_cast<float>(magnitude) * 0x1p-24f);
    const uint32_t normal = (magnitude << 13) + (magnitude >= 0x7c00 ? 0x70000000u : 0x38000000u);
    return std::bit_cast<float>(sign | (magnitude < 0x0400 ? small : normal));
}

struct Half {
    uint16_t bits = 0;
    Half() = default;
    Half(double value) : bits(round_to_16_bits(value, 10, -14)) {}
    operator double() const { return half_to_float(bits); }
};

struct Bfloat16 {
    uint16_t bits = 0;
    Bfloat16() = default;
    Bfloat16(double value) : bits(round_to_16_bits(value, 7, -126)) {}
    operator double() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
};

template <class T>
struct Pair {
    T low, high;
};

}  // namespace xbench::ptx
