// The vector type of the instruction set that a *.isa.cpp is compiled for, with the few operations kernels need. Such a file
// includes plain C headers and headers of the project that do the same (tests/house/include_directions.sh checks it). All of
// its code lives in the namespace XB_ISA_NAMESPACE (isa_portable, isa_avx2, isa_avx512, isa_avx512_bf16), which comes from
// cmake/xb_isa_kernels.cmake. Everything here has internal linkage.
//
//   VF    vf_width floats (16, 8 or 4); + - * / and comparison by operators, v[i] reads a lane
//   VM    which lanes take part; vm_first(n): lanes 0 .. n-1, vm_range(lo, hi): lanes lo .. hi-1
//   Masked loads read nothing and give +0 in the lanes left out; masked stores leave those lanes alone.
#pragma once

#include <stddef.h>
#include <stdint.h>
#if defined(XB_EMULATE_AVX512)
#include "kernels/simd/simd_emulated.h"
#elif defined(__AVX2__)
#if defined(__GNUC__) && !defined(__clang__)  // g++ 12 warns inside its own header (bug 105593)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif

#include "kernels/kernel.h"

#define XB_INLINE static inline __attribute__((always_inline))
#if defined(__AVX512F__) || defined(XB_EMULATE_AVX512)
#define XB_AVX512
#endif
#if defined(__AVX512BF16__) || defined(XB_EMULATE_AVX512_BF16)
#define XB_AVX512_BF16
#endif

namespace xbench {
namespace XB_ISA_NAMESPACE {

#if defined(XB_AVX512)

#if defined(XB_AVX512_BF16)
constexpr Isa this_isa = Isa::avx512_bf16;
#else
constexpr Isa this_isa = Isa::avx512;
#endif
constexpr int vf_width = 16, vf_registers = 32;
typedef __m512 VF;
typedef __mmask16 VM;

XB_INLINE VF vf_zero() { return _mm512_setzero_ps(); }
XB_INLINE VF vf_set1(float a) { return _mm512_set1_ps(a); }
XB_INLINE VF vf_load(const float* p) { return _mm512_loadu_ps(p); }
XB_INLINE VF vf_load(const float* p, VM m) { return _mm512_maskz_loadu_ps(m, p); }
XB_INLINE void vf_store(float* p, VF v) { _mm512_storeu_ps(p, v); }
XB_INLINE void vf_store(float* p, VF v, VM m) { _mm512_mask_storeu_ps(p, m, v); }
XB_INLINE void vf_stream(float* p, VF v) { _mm512_stream_ps(p, v); }        // 64-byte aligned
XB_INLINE VF vf_fma(VF a, VF b, VF c) { return _mm512_fmadd_ps(a, b, c); }  // a b + c
XB_INLINE VF vf_max(VF a, VF b) { return _mm512_max_ps(a, b); }
XB_INLINE VF vf_sqrt(VF a) { return _mm512_sqrt_ps(a); }
XB_INLINE VM vm_range(int lo, int hi) {  // 0 <= lo, hi <= 16; empty when hi <= lo
    return static_cast<VM>(((1u << hi) - 1u) & ~((1u << lo) - 1u));
}
XB_INLINE VM vm_greater(VF a, VF b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
XB_INLINE VF vf_select(VM m, VF a, VF b) { return _mm512_mask_blend_ps(m, b, a); }  // m ? a : b
XB_INLINE float vf_sum(VF v) {
    const __m256 low = _mm512_castps512_ps256(v), high = _mm512_extractf32x8_ps(v, 1);
    const __m256 a = low + high;
    const __m128 b = _mm256_castps256_ps128(a) + _mm256_extractf128_ps(a, 1);
    const __m128 c = b + _mm_movehl_ps(b, b);
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

#elif defined(__AVX2__)

constexpr Isa this_isa = Isa::avx2;
constexpr int vf_width = 8, vf_registers = 16;
typedef __m256 VF;
typedef __m256i VM;

XB_INLINE VF vf_zero() { return _mm256_setzero_ps(); }
XB_INLINE VF vf_set1(float a) { return _mm256_set1_ps(a); }
XB_INLINE VF vf_load(const float* p) { return _mm256_loadu_ps(p); }
XB_INLINE VF vf_load(const float* p, VM m) { return _mm256_maskload_ps(p, m); }
XB_INLINE void vf_store(float* p, VF v) { _mm256_storeu_ps(p, v); }
XB_INLINE void vf_store(float* p, VF v, VM m) { _mm256_maskstore_ps(p, m, v); }
XB_INLINE void vf_stream(float* p, VF v) { _mm256_stream_ps(p, v); }
XB_INLINE VF vf_fma(VF a, VF b, VF c) { return _mm256_fmadd_ps(a, b, c); }
XB_INLINE VF vf_max(VF a, VF b) { return _mm256_max_ps(a, b); }
XB_INLINE VF vf_sqrt(VF a) { return _mm256_sqrt_ps(a); }
XB_INLINE VM vm_range(int lo, int hi) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(lo), lane),
                               _mm256_cmpgt_epi32(_mm256_set1_epi32(hi), lane));
}
XB_INLINE VM vm_greater(VF a, VF b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_GT_OQ)); }
XB_INLINE VF vf_select(VM m, VF a, VF b) { return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(m)); }
XB_INLINE float vf_sum(VF v) {
    const __m128 b = _mm256_castps256_ps128(v) + _mm256_extractf128_ps(v, 1);
    const __m128 c = b + _mm_movehl_ps(b, b);
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

#else  // GCC's and clang's vector extension: any processor

constexpr Isa this_isa = Isa::portable;
constexpr int vf_width = 4, vf_registers = 16;
typedef float VF __attribute__((vector_size(16)));
typedef int32_t VM __attribute__((vector_size(16)));  // -1 or 0
typedef float VFUnaligned __attribute__((vector_size(16), aligned(4), may_alias));

XB_INLINE VF vf_zero() { return VF{0, 0, 0, 0}; }
XB_INLINE VF vf_set1(float a) { return VF{a, a, a, a}; }
XB_INLINE VF vf_load(const float* p) { return *reinterpret_cast<const VFUnaligned*>(p); }
XB_INLINE VF vf_load(const float* p, VM m) { return VF{m[0] ? p[0] : 0, m[1] ? p[1] : 0, m[2] ? p[2] : 0, m[3] ? p[3] : 0}; }
XB_INLINE void vf_store(float* p, VF v) { *reinterpret_cast<VFUnaligned*>(p) = v; }
XB_INLINE void vf_store(float* p, VF v, VM m) {
    for (int i = 0; i < vf_width; ++i)
        if (m[i]) p[i] = v[i];
}
XB_INLINE void vf_stream(float* p, VF v) { vf_store(p, v); }
XB_INLINE VF vf_fma(VF a, VF b, VF c) { return a * b + c; }
XB_INLINE VF vf_max(VF a, VF b) { return a > b ? a : b; }
XB_INLINE VF vf_sqrt(VF a) {
    return VF{__builtin_sqrtf(a[0]), __builtin_sqrtf(a[1]), __builtin_sqrtf(a[2]), __builtin_sqrtf(a[3])};
}
XB_INLINE VM vm_range(int lo, int hi) {
    const VM lane = {0, 1, 2, 3};
    const VM from = {lo, lo, lo, lo}, to = {hi, hi, hi, hi};
    return (lane >= from) & (lane < to);
}
XB_INLINE VM vm_greater(VF a, VF b) { return a > b; }
XB_INLINE VF vf_select(VM m, VF a, VF b) { return m ? a : b; }
XB_INLINE float vf_sum(VF v) { return (v[0] + v[2]) + (v[1] + v[3]); }

#endif

// Makes the compiler keep a loaded vector in a register: GCC repeats a load as the memory operand of every use, and the
// loads then bound the loop.
XB_INLINE VF vf_keep(VF v) {
#if defined(XB_EMULATE_AVX512)  // no register is as wide
#elif defined(XB_AVX512)
    __asm__("" : "+v"(v));
#elif defined(__x86_64__)
    __asm__("" : "+x"(v));
#endif
    return v;
}

XB_INLINE VM vm_first(int n) { return vm_range(0, n); }
XB_INLINE VF vf_relu(VF v) { return vf_max(vf_zero(), v); }  // in this order a NaN stays one
XB_INLINE VF vf_where_positive(VF gate, VF v) { return vf_select(vm_greater(gate, vf_zero()), v, vf_zero()); }

// Lanes p[0], p[step], p[2 step] ...; lanes lo .. hi-1 are read, the others are +0.
XB_INLINE VF vf_load_strided(const float* p, ptrdiff_t step, int lo, int hi) {
    float lane[vf_width] = {};
    for (int i = lo; i < hi; ++i) lane[i] = p[i * step];
    return vf_load(lane);
}

// Orders what vf_stream has written before all later stores: another rank may wait for one of these.
XB_INLINE void end_of_streams() {
#if defined(__AVX2__)
    _mm_sfence();
#endif
}

XB_INLINE void vf_store_strided(float* p, ptrdiff_t step, VF v, int count) {
    float lane[vf_width];
    vf_store(lane, v);
    for (int i = 0; i < count; ++i) p[i * step] = lane[i];
}

// A thread's part of 0 .. total-1: contiguous, sizes differ by at most one.
struct Share {
    int64_t begin, end;
};

XB_INLINE Share share_of(int64_t total, const Team& team) {
    return Share{total * team.rank / team.size, total * (team.rank + 1) / team.size};
}

XB_INLINE int64_t div_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Whether an optional operand is there.
XB_INLINE bool has_operand(const KernelTensor* tensors, int32_t count, int32_t index) {
    return index < count && tensors[index].rank > 0;
}
XB_INLINE bool is_dense_f32(const KernelTensor& t, Layout layout) { return t.dtype == DType::f32 && t.layout == layout; }
// The same as a row's answer.
XB_INLINE Support dense_f32(const KernelTensor& t, Layout layout) {
    if (t.dtype != DType::f32) return refused("element type");
    return t.layout == layout ? supported : refused("layout");
}

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
