// Products in bf16 as AVX-512-BF16 has them: a dword holds a pair of bf16 numbers, and one instruction adds the two products
// of each lane's pairs to a vector of f32. Only for files that are built for avx512_bf16 (cmake/xb_isa_kernels.cmake).
// Rounding is to nearest, ties to even; numbers below 2^-126 count as zero.
#pragma once

#include "kernels/simd/simd.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

typedef __m512bh Pairs;  // 16 pairs

XB_INLINE Pairs pairs_load(const uint32_t* p) { return (Pairs)_mm512_loadu_si512(p); }
XB_INLINE Pairs pairs_set1(uint32_t pair) { return (Pairs)_mm512_set1_epi32(static_cast<int>(pair)); }
XB_INLINE void pairs_store(uint32_t* p, Pairs v) { _mm512_storeu_si512(p, (__m512i)v); }
// c + a.low b.low + a.high b.high
XB_INLINE VF pairs_dot(Pairs a, Pairs b, VF c) { return _mm512_dpbf16_ps(c, a, b); }
XB_INLINE __m512i words_of(VF v) { return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(v)); }
// Lane i: {low[i], high[i]}.
XB_INLINE Pairs pairs_of(VF low, VF high) {
    return (Pairs)_mm512_or_si512(words_of(low), _mm512_slli_epi32(words_of(high), 16));
}
// Neighbouring lanes become pairs: 8 from 16 numbers, 16 from 32.
XB_INLINE void store_neighbours(uint32_t* p, VF v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), (__m256i)_mm512_cvtneps_pbh(v));
}
XB_INLINE void store_neighbours(uint32_t* p, VF first, VF second) { pairs_store(p, _mm512_cvtne2ps_pbh(second, first)); }

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
