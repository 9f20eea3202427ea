// Rounding to 16-bit floats against the definition: the nearest value, to even where two are as near.
#include "tests/gpu_emulator/half.h"

#include <gtest/gtest.h>

#include <cmath>

namespace xbench::ptx {
namespace {

template <class T>
void check_all() {
    for (uint32_t bits = 0; bits < 0x7fff; ++bits) {
        T here, next;
        here.bits = static_cast<uint16_t>(bits);
        next.bits = static_cast<uint16_t>(bits + 1);
        const double low = here, high = next;
        if (!std::isfinite(low)) break;
        ASSERT_EQ(T(low).bits, bits);
        ASSERT_EQ(T(-low).bits, bits | 0x8000u);
        if (!std::isfinite(high)) continue;
        const double middle = low + (high - low) / 2;
        ASSERT_EQ(T(middle).bits, bits % 2 ? bits + 1 : bits) << "a tie goes to even";
        ASSERT_EQ(T(std::nextafter(middle, 0.0)).bits, bits);
        ASSERT_EQ(T(std::nextafter(middle, high)).bits, bits + 1);
    }
    EXPECT_TRUE(std::isinf(static_cast<double>(T(1e300))));
    EXPECT_TRUE(std::isinf(static_cast<double>(T(-INFINITY))));
    EXPECT_TRUE(std::isnan(static_cast<double>(T(NAN))));
    EXPECT_EQ(T(1e-300).bits, 0);
    EXPECT_EQ(T(-0.0).bits, 0x8000);
}

TEST(HalfTypes, RoundToNearestEven) {
    check_all<Half>();
    check_all<Bfloat16>();
    EXPECT_TRUE(std::isinf(static_cast<double>(Half(65520.0)))) << "half way to the first that is too large";
    EXPECT_EQ(static_cast<double>(Half(65519.0)), 65504.0);
}

}  // namespace
}  // namespace xbench::ptx
