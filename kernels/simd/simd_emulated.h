// AVX-512 where the processor has none, for tests only (CMake option XB_EMULATE_AVX512): the AVX-512 files of kernels/ are
// compiled with the flags of avx2 and with SIMDe's portable functions (libsimde-dev) under the names of the intrinsics.
// kernels/simd/simd.h includes this in place of <immintrin.h>. Below stand the intrinsics that the kernels use and SIMDe
// 0.7.4 lacks, as Intel's Intrinsics Guide defines them. vfmadd is a true fused multiply-add, of two halves of 256 bits.
// Differs from the hardware in speed, alignment traps, and which of a pair's two products vdpbf16ps adds first.
#pragma once

#define SIMDE_ENABLE_NATIVE_ALIASES
#define SIMDE_NO_INLINE  // the register tiles would take an hour to compile
#include <simde/x86/avx512.h>

// A vector as its lanes or its two halves.
union EmulatedVector {
    __m512 ps;
    __m512i i;
    __m256 half[2];
    __m256i half_i[2];
    float f[16];
    uint32_t u[16];
};

#define XB_EMULATED static inline __attribute__((always_inline))

XB_EMULATED __m512 emulated_maskz_loadu_ps(__mmask16 m, const float* p) {
    EmulatedVector r = {};
    for (int i = 0; i < 16; ++i)
        if (m >> i & 1) r.f[i] = p[i];
    return r.ps;
}
XB_EMULATED void emulated_mask_storeu_ps(float* p, __mmask16 m, __m512 a) {
    const EmulatedVector v = {a};
    for (int i = 0; i < 16; ++i)
        if (m >> i & 1) p[i] = v.f[i];
}
XB_EMULATED void emulated_stream_ps(float* p, __m512 a) {
    const EmulatedVector v = {a};
    _mm256_stream_ps(p, v.half[0]);
    _mm256_stream_ps(p + 8, v.half[1]);
}
XB_EMULATED __m256 emulated_extractf32x8_ps(__m512 a, int which) {
    const EmulatedVector v = {a};
    return v.half[which];
}
XB_EMULATED __m512 emulated_maskz_shuffle_f32x4(__mmask16 m, __m512 a, __m512 b, int pick) {
    const EmulatedVector x = {a}, y = {b};
    EmulatedVector r = {};
    for (int i = 0; i < 16; ++i) {
        const int from = (pick >> (i / 4 * 2) & 3) * 4 + i % 4;
        if (m >> i & 1) r.f[i] = i < 8 ? x.f[from] : y.f[from];
    }
    return r.ps;
}
XB_EMULATED __m512i emulated_cvtps_epi32(__m512 a) {
    const EmulatedVector v = {a};
    EmulatedVector r;
    for (int i = 0; i < 2; ++i) r.half_i[i] = _mm256_cvtps_epi32(v.half[i]);
    return r.i;
}
XB_EMULATED __m512 emulated_cvtepi32_ps(__m512i a) {
    EmulatedVector v, r;
    v.i = a;
    for (int i = 0; i < 2; ++i) r.half[i] = _mm256_cvtepi32_ps(v.half_i[i]);
    return r.ps;
}
XB_EMULATED __m128i emulated_cvtepi32_epi8(__m512i a) {
    EmulatedVector v;
    v.i = a;
    uint8_t byte[16];
    for (int i = 0; i < 16; ++i) byte[i] = static_cast<uint8_t>(v.u[i]);
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(byte));
}
XB_EMULATED __m512i emulated_cvtepu16_epi32(__m256i a) {
    EmulatedVector r;
    r.half_i[0] = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(a));
    r.half_i[1] = _mm256_cvtepu16_epi32(_mm256_extracti128_si256(a, 1));
    return r.i;
}
XB_EMULATED __mmask16 emulated_cmpeq_epi8_mask(__m128i a, __m128i b) {
    return static_cast<__mmask16>(_mm_movemask_epi8(_mm_cmpeq_epi8(a, b)));
}
XB_EMULATED __mmask16 emulated_cmpneq_epi8_mask(__m128i a, __m128i b) {
    return static_cast<__mmask16>(~emulated_cmpeq_epi8_mask(a, b));
}
XB_EMULATED void emulated_mask_storeu_epi8(void* p, __mmask16 m, __m128i a) {
    uint8_t byte[16];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(byte), a);
    for (int i = 0; i < 16; ++i)
        if (m >> i & 1) static_cast<uint8_t*>(p)[i] = byte[i];
}
XB_EMULATED __m128i emulated_maskz_loadu_epi8(__mmask16 m, const void* p) {
    uint8_t byte[16] = {};
    for (int i = 0; i < 16; ++i)
        if (m >> i & 1) byte[i] = static_cast<const uint8_t*>(p)[i];
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(byte));
}

// To nearest, ties to even; denormal numbers count as zero, a NaN stays one.
XB_EMULATED uint16_t emulated_bf16(uint32_t bits) {
    const uint32_t magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);
    if (magnitude < 0x00800000u) return static_cast<uint16_t>(bits >> 16 & 0x8000u);
    return static_cast<uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}
XB_EMULATED __m256bh emulated_cvtneps_pbh(__m512 a) {
    const EmulatedVector v = {a};
    uint16_t word[16];
    for (int i = 0; i < 16; ++i) word[i] = emulated_bf16(v.u[i]);
    return (__m256bh)_mm256_loadu_si256(reinterpret_cast<const __m256i*>(word));
}
XB_EMULATED __m512bh emulated_cvtne2ps_pbh(__m512 high, __m512 low) {
    EmulatedVector r;
    r.half_i[0] = (__m256i)emulated_cvtneps_pbh(low);
    r.half_i[1] = (__m256i)emulated_cvtneps_pbh(high);
    return (__m512bh)r.i;
}

// Some compilers have macros of these names.
#undef _mm512_extractf32x8_ps
#undef _mm512_maskz_shuffle_f32x4
#undef _mm_cmpeq_epi8_mask
#undef _mm_cmpneq_epi8_mask
#define _mm512_maskz_loadu_ps      emulated_maskz_loadu_ps
#define _mm512_mask_storeu_ps      emulated_mask_storeu_ps
#define _mm512_stream_ps           emulated_stream_ps
#define _mm512_extractf32x8_ps     emulated_extractf32x8_ps
#define _mm512_maskz_shuffle_f32x4 emulated_maskz_shuffle_f32x4
#define _mm512_cvtps_epi32         emulated_cvtps_epi32
#define _mm512_cvtepi32_ps         emulated_cvtepi32_ps
#define _mm512_cvtepi32_epi8       emulated_cvtepi32_epi8
#define _mm512_cvtepu16_epi32      emulated_cvtepu16_epi32
#define _mm_cmpeq_epi8_mask        emulated_cmpeq_epi8_mask
#define _mm_cmpneq_epi8_mask       emulated_cmpneq_epi8_mask
#define _mm_mask_storeu_epi8       emulated_mask_storeu_epi8
#define _mm_maskz_loadu_epi8       emulated_maskz_loadu_epi8
#define _mm512_cvtneps_pbh         emulated_cvtneps_pbh
#define _mm512_cvtne2ps_pbh        emulated_cvtne2ps_pbh
