// Philox4x32-10 (core/philox.h) for one counter a lane: vf_width counters at once, the same bits as the scalar definition.
// A key of one image; counters below 2^32, in 32-bit lanes.
//   philox_lanes(key, counters, high)   word j of all lanes is w[j]
//   uniform_lanes(words)                [0, 1) with 24 bits, as uniform01
//   uniforms_in_order(key, first, high) the same for successive elements, as 4 vectors
#pragma once

#include "core/philox.h"
#include "kernels/simd/simd.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {

#if defined(XB_AVX512)

typedef __m512i VU;
XB_INLINE VU vu_set1(uint32_t a) { return _mm512_set1_epi32(static_cast<int>(a)); }
XB_INLINE VU vu_load(const uint32_t* p) { return _mm512_loadu_si512(p); }
XB_INLINE VU vu_xor(VU a, VU b) { return _mm512_xor_si512(a, b); }
XB_INLINE VU vu_xor3(VU a, VU b, VU c) { return _mm512_ternarylogic_epi32(a, b, c, 0x96); }
XB_INLINE VU vu_add(VU a, VU b) { return _mm512_add_epi32(a, b); }
XB_INLINE void vu_multiply(VU a, VU by, VU& high, VU& low) {
    const VU even = _mm512_mul_epu32(a, by), odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), by);
    high = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
    low = _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
}
XB_INLINE VF uniform_lanes(VU bits) { return _mm512_cvtepi32_ps(_mm512_srli_epi32(bits, 8)) * vf_set1(1.0f / 16777216.0f); }
XB_INLINE void transpose_quads(VF (&w)[4]) {  // a 4x4 transpose in each 128 bits
    const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(w[0], w[1])), b = _mm512_castps_pd(_mm512_unpacklo_ps(w[2], w[3]));
    const __m512d c = _mm512_castps_pd(_mm512_unpackhi_ps(w[0], w[1])), d = _mm512_castps_pd(_mm512_unpackhi_ps(w[2], w[3]));
    w[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), w[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
    w[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(c, d)), w[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(c, d));
}

#elif defined(__AVX2__)

typedef __m256i VU;
XB_INLINE VU vu_set1(uint32_t a) { return _mm256_set1_epi32(static_cast<int>(a)); }
XB_INLINE VU vu_load(const uint32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
XB_INLINE VU vu_xor(VU a, VU b) { return _mm256_xor_si256(a, b); }
XB_INLINE VU vu_xor3(VU a, VU b, VU c) { return vu_xor(vu_xor(a, b), c); }
XB_INLINE VU vu_add(VU a, VU b) { return _mm256_add_epi32(a, b); }
XB_INLINE void vu_multiply(VU a, VU by, VU& high, VU& low) {
    const VU even = _mm256_mul_epu32(a, by), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), by);
    high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
    low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
}
XB_INLINE VF uniform_lanes(VU bits) { return _mm256_cvtepi32_ps(_mm256_srli_epi32(bits, 8)) * vf_set1(1.0f / 16777216.0f); }
XB_INLINE void transpose_quads(VF (&w)[4]) {
    const __m256d a = _mm256_castps_pd(_mm256_unpacklo_ps(w[0], w[1])), b = _mm256_castps_pd(_mm256_unpacklo_ps(w[2], w[3]));
    const __m256d c = _mm256_castps_pd(_mm256_unpackhi_ps(w[0], w[1])), d = _mm256_castps_pd(_mm256_unpackhi_ps(w[2], w[3]));
    w[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, b)), w[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, b));
    w[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(c, d)), w[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(c, d));
}

#else

typedef uint32_t VU __attribute__((vector_size(16)));
XB_INLINE VU vu_set1(uint32_t a) { return VU{a, a, a, a}; }
XB_INLINE VU vu_load(const uint32_t* p) { return VU{p[0], p[1], p[2], p[3]}; }
XB_INLINE VU vu_xor(VU a, VU b) { return a ^ b; }
XB_INLINE VU vu_xor3(VU a, VU b, VU c) { return a ^ b ^ c; }
XB_INLINE VU vu_add(VU a, VU b) { return a + b; }
XB_INLINE void vu_multiply(VU a, VU by, VU& high, VU& low) {
    for (int i = 0; i < vf_width; ++i) {
        const uint64_t product = uint64_t{a[i]} * by[i];
        high[i] = static_cast<uint32_t>(product >> 32), low[i] = static_cast<uint32_t>(product);
    }
}
XB_INLINE VF uniform_lanes(VU bits) {
    return VF{uniform01(bits[0]), uniform01(bits[1]), uniform01(bits[2]), uniform01(bits[3])};
}
XB_INLINE void transpose_quads(VF (&w)[4]) {
    const VF a = w[0], b = w[1], c = w[2], d = w[3];
    for (int t = 0; t < 4; ++t) w[t] = VF{a[t], b[t], c[t], d[t]};
}

#endif

struct PhiloxLanes {
    VU w[4];
};

XB_INLINE PhiloxLanes philox_lanes(uint64_t key, VU counters, uint64_t counter_high) {
    VU c0 = counters, c1 = vu_set1(0);
    VU c2 = vu_set1(static_cast<uint32_t>(counter_high)), c3 = vu_set1(static_cast<uint32_t>(counter_high >> 32));
    uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
        VU high0, low0, high1, low1;
        vu_multiply(c0, vu_set1(0xD2511F53u), high0, low0);
        vu_multiply(c2, vu_set1(0xCD9E8D57u), high1, low1);
        c0 = vu_xor3(high1, c1, vu_set1(k0));
        c2 = vu_xor3(high0, c3, vu_set1(k1));
        c1 = low1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return PhiloxLanes{{c0, c1, c2, c3}};
}

// Lane 4g + t holds counter first + t * (vf_width / 4) + g: transposing quads then puts the elements in order.
XB_INLINE VU counters_in_order(uint32_t first) {
    uint32_t counter[vf_width];
    for (int lane = 0; lane < vf_width; ++lane)
        counter[lane] = first + static_cast<uint32_t>(lane % 4 * (vf_width / 4) + lane / 4);
    return vu_load(counter);
}

// Uniform numbers of the elements 4 * first .. 4 * first + 4 * vf_width - 1.
XB_INLINE void uniforms_in_order(uint64_t key, uint32_t first, uint64_t counter_high, VF (&u)[4]) {
    const PhiloxLanes words = philox_lanes(key, counters_in_order(first), counter_high);
    for (int j = 0; j < 4; ++j) u[j] = uniform_lanes(words.w[j]);
    transpose_quads(u);
}

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
