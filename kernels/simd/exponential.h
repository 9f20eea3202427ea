// exp of a vector of floats to about 1 ulp, by x = n ln 2 + r with |r| <= ln(2)/2, a polynomial of degree 6 in r and a shift
// of the exponent by n (the scheme of Cephes' expf, Moshier 1989). For x <= 88; below -87 the result is 0; exp(0) is
// exactly 1.
#pragma once

#include "kernels/simd/simd.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {

#if defined(XB_AVX512)
XB_INLINE VF vf_round(VF a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
XB_INLINE VF vf_power_of_two(VF n) { return _mm512_scalef_ps(vf_set1(1), n); }
#elif defined(__AVX2__)
XB_INLINE VF vf_round(VF a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
XB_INLINE VF vf_power_of_two(VF n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}
#else
XB_INLINE VF vf_round(VF a) {
    return VF{__builtin_rintf(a[0]), __builtin_rintf(a[1]), __builtin_rintf(a[2]), __builtin_rintf(a[3])};
}
XB_INLINE VF vf_power_of_two(VF n) {
    VM bits;
    for (int i = 0; i < vf_width; ++i) bits[i] = (static_cast<int32_t>(n[i]) + 127) << 23;
    return reinterpret_cast<VF>(bits);
}
#endif

XB_INLINE VF vf_exp(VF x) {
    const VM tiny = vm_greater(vf_set1(-87.0f), x);
    const VF inside = vf_max(x, vf_set1(-87.0f));
    const VF n = vf_round(inside * vf_set1(1.44269504f));
    // ln 2 in two parts: the first has few bits, so that n times it is exact.
    const VF r = vf_fma(n, vf_set1(2.12194440e-4f), vf_fma(n, vf_set1(-0.693359375f), inside));
    VF poly = vf_set1(1.9875691500e-4f);
    const float coefficients[] = {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
    for (const float c : coefficients) poly = vf_fma(poly, r, vf_set1(c));
    const VF e = vf_fma(poly, r * r, r) + vf_set1(1);
    return vf_select(tiny, vf_zero(), e * vf_power_of_two(n));
}

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
