// D = A B + C of one mma.m16n8, lane by lane as the PTX manual lays fragments out: lane = 4 * row group + column pair. A
// vector is the 32 lanes of a register; an element of A is what one lane of four holds for its row, an element of B what a
// whole row of lanes needs for its column. Sums go over ascending k, with one rounding each, whatever the vectors' width.
#pragma once

#include <cmath>
#include <cstdint>

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#endif

namespace xbench::ptx {

constexpr int most_depth = 16, matrix_lanes = 32;

struct Fragments {
    // a[k][below][lane]: of row lane / 4 + 8 * below, in each of the row's four lanes.
    alignas(64) float a[most_depth][2][matrix_lanes];
    // b[k][right][n]: of column 2 * n + right.
    alignas(64) float b[most_depth][2][4];
    // sum[r][lane]: of row lane / 4 + r / 2 * 8, column lane % 4 * 2 + r % 2.
    alignas(64) float sum[4][matrix_lanes];
};

#if defined(__AVX512F__)
inline void multiply(Fragments& f, int depth) {
    __m512 sum[4][2];
    for (int r = 0; r < 4; ++r)
        for (int h = 0; h < 2; ++h) sum[r][h] = _mm512_load_ps(&f.sum[r][16 * h]);
    for (int k = 0; k < depth; ++k) {
        const __m512 b[2] = {_mm512_broadcast_f32x4(_mm_load_ps(f.b[k][0])), _mm512_broadcast_f32x4(_mm_load_ps(f.b[k][1]))};
        for (int h = 0; h < 2; ++h) {
            const __m512 above = _mm512_load_ps(&f.a[k][0][16 * h]), below = _mm512_load_ps(&f.a[k][1][16 * h]);
            sum[0][h] = _mm512_fmadd_ps(above, b[0], sum[0][h]);
            sum[1][h] = _mm512_fmadd_ps(above, b[1], sum[1][h]);
            sum[2][h] = _mm512_fmadd_ps(below, b[0], sum[2][h]);
            sum[3][h] = _mm512_fmadd_ps(below, b[1], sum[3][h]);
        }
    }
    for (int r = 0; r < 4; ++r)
        for (int h = 0; h < 2; ++h) _mm512_store_ps(&f.sum[r][16 * h], sum[r][h]);
}
// Element `pair` of each four lanes, in all four.
template <int pair>
void spread(const float* from, float* to) {
    for (int h = 0; h < matrix_lanes; h += 16)
        _mm512_store_ps(to + h, _mm512_permute_ps(_mm512_load_ps(from + h), pair * 0x55));
}
#elif defined(__AVX2__) && defined(__FMA__)
inline void multiply(Fragments& f, int depth) {
    for (int h = 0; h < matrix_lanes; h += 16) {
        __m256 sum[4][2];
        for (int r = 0; r < 4; ++r)
            for (int e = 0; e < 2; ++e) sum[r][e] = _mm256_load_ps(&f.sum[r][h + 8 * e]);
        for (int k = 0; k < depth; ++k) {
            const __m256 left = _mm256_broadcast_ps(reinterpret_cast<const __m128*>(f.b[k][0])),
                         right = _mm256_broadcast_ps(reinterpret_cast<const __m128*>(f.b[k][1]));
            for (int e = 0; e < 2; ++e) {
                const __m256 above = _mm256_load_ps(&f.a[k][0][h + 8 * e]), below = _mm256_load_ps(&f.a[k][1][h + 8 * e]);
                sum[0][e] = _mm256_fmadd_ps(above, left, sum[0][e]);
                sum[1][e] = _mm256_fmadd_ps(above, right, sum[1][e]);
                sum[2][e] = _mm256_fmadd_ps(below, left, sum[2][e]);
                sum[3][e] = _mm256_fmadd_ps(below, right, sum[3][e]);
            }
        }
        for (int r = 0; r < 4; ++r)
            for (int e = 0; e < 2; ++e) _mm256_store_ps(&f.sum[r][h + 8 * e], sum[r][e]);
    }
}
template <int pair>
void spread(const float* from, float* to) {
    for (int h = 0; h < matrix_lanes; h += 8)
        _mm256_store_ps(to + h, _mm256_permute_ps(_mm256_load_ps(from + h), pair * 0x55));
}
#else
inline void multiply(Fragments& f, int depth) {
    for (int r = 0; r < 4; ++r)
        for (int l = 0; l < matrix_lanes; ++l)
            for (int k = 0; k < depth; ++k)
                f.sum[r][l] = __builtin_fmaf(f.a[k][r / 2][l], f.b[k][r % 2][l % 4], f.sum[r][l]);
}
template <int pair>
void spread(const float* from, float* to) {
    for (int l = 0; l < matrix_lanes; ++l) to[l] = from[l / 4 * 4 + pair];
}
#endif

}  // namespace xbench::ptx
