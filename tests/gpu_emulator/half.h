// The 16-bit floating-point types of PTX as C++ types whose arithmetic is done in double, and rounded once, to nearest even:
// sums and products of two of them are exact in double, and so is a product plus a third but for cases that no kernel meets.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace xbench::ptx {

// `value` rounded to `fraction_bits` bits after the leading one, with the smallest exponent `lowest`, as sign, exponent and
// fraction of a 16-bit format.
inline uint16_t round_to_16_bits(double value, int fraction_bits, int lowest, int highest) {
    const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    const int exponent_bits = 15 - fraction_bits;
    const auto infinite = static_cast<uint16_t>(((1 << exponent_bits) - 1) << fraction_bits);
    if (std::isnan(value)) return 0x7fff;
    const double magnitude = std::fabs(value);
    if (magnitude == 0) return sign;
    if (std::isinf(magnitude)) return sign | infinite;
    const int exponent = std::max(std::ilogb(magnitude), lowest);
    const double scaled = std::nearbyint(std::ldexp(magnitude, fraction_bits - exponent));  // of 1 << fraction_bits
    const auto whole = static_cast<uint32_t>(scaled);
    // A fraction that was rounded up to 2 moves into the exponent by itself.
    const int biased = whole >= (1u << fraction_bits) ? exponent - lowest + 1 : 0;
    const uint32_t bits = biased > 0 ? (static_cast<uint32_t>(biased - 1) << fraction_bits) + whole : whole;
    (void)highest;
    return bits >= infinite ? static_cast<uint16_t>(sign | infinite) : static_cast<uint16_t>(sign | bits);
}

inline float half_to_float(uint16_t bits) {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 1023;
    if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | fraction << 13);
    if (exponent == 0) return std::copysign(std::ldexp(static_cast<float>(fraction), -24), sign ? -1.0f : 1.0f);
    return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

struct Half {
    uint16_t bits = 0;
    Half() = default;
    Half(double value) : bits(round_to_16_bits(value, 10, -14, 15)) {}
    operator double() const { return half_to_float(bits); }
};

struct Bfloat16 {
    uint16_t bits = 0;
    Bfloat16() = default;
    Bfloat16(double value) : bits(round_to_16_bits(value, 7, -126, 127)) {}
    operator double() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
};

template <class T>
struct Pair {
    T low, high;
};

}  // namespace xbench::ptx
