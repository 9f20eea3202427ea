// Vector moves that pooling needs beside simd.h: pairs of neighbours apart and together, and window positions as bytes.
//   vf_even(a, b), vf_odd(a, b)      a0 a2 .. b0 b2 ..  and  a1 a3 .. b1 b3 ..
//   vf_mixed_even, vf_mixed_odd      the same in an order of lanes of their own, which vf_unmixed undoes: cheaper with AVX2
//   vf_weave_low(e, o), _high(e, o)  e0 o0 e1 o1 ..  first and second half
//   store_bytes                      small whole numbers held as floats, `count` of them, one byte each
//   load_places                      such bytes, to be asked: only_at(places, k, d) is d where the place is k, else 0;
//                                    unless_at(places, k, d) is d where it is not
// All static inline in the namespace of the instruction set, as simd.h.
#pragma once

#include "kernels/simd/simd.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {

#if defined(XB_AVX512)

XB_INLINE VF vf_even(VF a, VF b) {
    const __m512i pick = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(a, pick, b);
}
XB_INLINE VF vf_odd(VF a, VF b) {
    const __m512i pick = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return _mm512_permutex2var_ps(a, pick, b);
}
XB_INLINE VF vf_mixed_even(VF a, VF b) { return vf_even(a, b); }
XB_INLINE VF vf_mixed_odd(VF a, VF b) { return vf_odd(a, b); }
XB_INLINE VF vf_unmixed(VF v) { return v; }
XB_INLINE VF vf_weave_low(VF e, VF o) {
    const __m512i pick = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    return _mm512_permutex2var_ps(e, pick, o);
}
XB_INLINE VF vf_weave_high(VF e, VF o) {
    const __m512i pick = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    return _mm512_permutex2var_ps(e, pick, o);
}
XB_INLINE void store_bytes(uint8_t* p, VF v, int count) {
    const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v));  // storing from vpmovdb itself is slow on Zen
    if (count == vf_width)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
    else
        _mm_mask_storeu_epi8(p, vm_first(count), bytes);
}
typedef __m128i Places;
XB_INLINE Places load_places(const uint8_t* p, int count) {
    return count == vf_width ? _mm_loadu_si128(reinterpret_cast<const __m128i*>(p))
                             : _mm_maskz_loadu_epi8(vm_first(count), p);
}
XB_INLINE VF only_at(Places places, int which, VF d) {
    return _mm512_maskz_mov_ps(_mm_cmpeq_epi8_mask(places, _mm_set1_epi8(static_cast<char>(which))), d);
}
XB_INLINE VF unless_at(Places places, int which, VF d) {
    return _mm512_maskz_mov_ps(_mm_cmpneq_epi8_mask(places, _mm_set1_epi8(static_cast<char>(which))), d);
}

#elif defined(__AVX2__)

XB_INLINE VF vf_mixed_even(VF a, VF b) {
    return _mm256_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0));  // a0 a2 b0 b2 | a4 a6 b4 b6
}
XB_INLINE VF vf_mixed_odd(VF a, VF b) { return _mm256_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1)); }
XB_INLINE VF vf_unmixed(VF v) {
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), _MM_SHUFFLE(3, 1, 2, 0)));
}
XB_INLINE VF vf_even(VF a, VF b) { return vf_unmixed(vf_mixed_even(a, b)); }
XB_INLINE VF vf_odd(VF a, VF b) { return vf_unmixed(vf_mixed_odd(a, b)); }
XB_INLINE VF vf_weave_low(VF e, VF o) {
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(e, o), _mm256_unpackhi_ps(e, o), 0x20);
}
XB_INLINE VF vf_weave_high(VF e, VF o) {
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(e, o), _mm256_unpackhi_ps(e, o), 0x31);
}
XB_INLINE void store_bytes(uint8_t* p, VF v, int count) {
    const __m256i words = _mm256_cvtps_epi32(v);
    const __m128i halves = _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    const int64_t bytes = _mm_cvtsi128_si64(_mm_packus_epi16(halves, halves));
    if (count == vf_width)
        __builtin_memcpy(p, &bytes, sizeof bytes);
    else
        __builtin_memcpy(p, &bytes, static_cast<size_t>(count));
}
typedef __m256i Places;
XB_INLINE Places load_places(const uint8_t* p, int count) {
    int64_t bytes = 0;
    if (count == vf_width)
        __builtin_memcpy(&bytes, p, sizeof bytes);
    else
        __builtin_memcpy(&bytes, p, static_cast<size_t>(count));
    return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(bytes));
}
XB_INLINE VF only_at(Places places, int which, VF d) {
    return _mm256_and_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(places, _mm256_set1_epi32(which))), d);
}
XB_INLINE VF unless_at(Places places, int which, VF d) {
    return _mm256_andnot_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(places, _mm256_set1_epi32(which))), d);
}

#else

XB_INLINE VF vf_even(VF a, VF b) { return VF{a[0], a[2], b[0], b[2]}; }
XB_INLINE VF vf_odd(VF a, VF b) { return VF{a[1], a[3], b[1], b[3]}; }
XB_INLINE VF vf_mixed_even(VF a, VF b) { return vf_even(a, b); }
XB_INLINE VF vf_mixed_odd(VF a, VF b) { return vf_odd(a, b); }
XB_INLINE VF vf_unmixed(VF v) { return v; }
XB_INLINE VF vf_weave_low(VF e, VF o) { return VF{e[0], o[0], e[1], o[1]}; }
XB_INLINE VF vf_weave_high(VF e, VF o) { return VF{e[2], o[2], e[3], o[3]}; }
XB_INLINE void store_bytes(uint8_t* p, VF v, int count) {
    for (int i = 0; i < count; ++i) p[i] = static_cast<uint8_t>(v[i]);
}
typedef VM Places;
XB_INLINE Places load_places(const uint8_t* p, int count) {
    Places places = {0, 0, 0, 0};
    for (int i = 0; i < count; ++i) places[i] = p[i];
    return places;
}
XB_INLINE VF only_at(Places places, int which, VF d) {
    return vf_select(places == Places{which, which, which, which}, d, vf_zero());
}
XB_INLINE VF unless_at(Places places, int which, VF d) {
    return vf_select(places == Places{which, which, which, which}, vf_zero(), d);
}

#endif

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
