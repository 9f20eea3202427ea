// The one-dimensional transforms of Winograd's F(m, 3): m neighbouring outputs of a filter of 3 taps by n = m + 2 products.
// With P the polynomials through the points p_i (the last one is infinity):
//   forward, dgrad   y(m)  = A [(G g) . (B d)]    B d: input(), G g: filter(), A: output()
//   wgrad            dw(3) = A'[(G'dy) . (B d)]   G'dy: gradient(), A': sums()
// B's row i holds the coefficients of prod_{l != i} (x - p_l), A and G' hold powers of p_i, G and A' such powers over
// prod_{l != i} (p_i - p_l). Points come in pairs +-a, so that even and odd powers are computed once for both.
// F43's points 5/8 and 3/2 have the smallest errors of those with short fractions (an emulation in f32, 32 channels, random
// operands): the root mean square error is 0.8 eps of sum |a||b| against 1.8 with the classic 1 and 2, in wgrad 0.5
// against 1.2.
#pragma once

#include "kernels/simd/simd.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

// F(4, 3) with the points 0, a, -a, b, -b, infinity.
struct F43 {
    enum { m = 4, n = 6 };
    static constexpr float a = 0.625f, b = 1.5f, a2 = a * a, b2 = b * b;
    static constexpr float at_zero = 1 / (a2 * b2), at_a = 1 / (2 * a2 * (a2 - b2)), at_b = 1 / (2 * b2 * (b2 - a2));

    XB_INLINE void input(const VF (&d)[n], VF (&v)[n]) {
        const VF all = vf_set1(a2 + b2), product = vf_set1(a2 * b2);
        const VF even_a = d[4] - vf_set1(b2) * d[2], odd_a = d[3] - vf_set1(b2) * d[1];
        const VF even_b = d[4] - vf_set1(a2) * d[2], odd_b = d[3] - vf_set1(a2) * d[1];
        v[0] = vf_fma(product, d[0], d[4] - all * d[2]);
        v[1] = vf_fma(vf_set1(a), odd_a, even_a);
        v[2] = even_a - vf_set1(a) * odd_a;
        v[3] = vf_fma(vf_set1(b), odd_b, even_b);
        v[4] = even_b - vf_set1(b) * odd_b;
        v[5] = vf_fma(product, d[1], d[5] - all * d[3]);
    }
    XB_INLINE void filter(const VF (&g)[3], VF (&u)[n]) {
        const VF even_a = vf_set1(at_a) * vf_fma(vf_set1(a2), g[2], g[0]), odd_a = vf_set1(at_a * a) * g[1];
        const VF even_b = vf_set1(at_b) * vf_fma(vf_set1(b2), g[2], g[0]), odd_b = vf_set1(at_b * b) * g[1];
        u[0] = vf_set1(at_zero) * g[0];
        u[1] = even_a + odd_a;
        u[2] = even_a - odd_a;
        u[3] = even_b + odd_b;
        u[4] = even_b - odd_b;
        u[5] = g[2];
    }
    XB_INLINE void output(const VF (&p)[n], VF (&y)[m]) {
        const VF even_a = p[1] + p[2], odd_a = p[1] - p[2], even_b = p[3] + p[4], odd_b = p[3] - p[4];
        y[0] = p[0] + even_a + even_b;
        y[1] = vf_fma(vf_set1(b), odd_b, vf_set1(a) * odd_a);
        y[2] = vf_fma(vf_set1(b2), even_b, vf_set1(a2) * even_a);
        y[3] = vf_fma(vf_set1(b2 * b), odd_b, vf_fma(vf_set1(a2 * a), odd_a, p[5]));
    }
    XB_INLINE void gradient(const VF (&dy)[m], VF (&w)[n]) {
        const VF even_a = vf_fma(vf_set1(a2), dy[2], dy[0]), odd_a = vf_fma(vf_set1(a2), dy[3], dy[1]);
        const VF even_b = vf_fma(vf_set1(b2), dy[2], dy[0]), odd_b = vf_fma(vf_set1(b2), dy[3], dy[1]);
        w[0] = dy[0];
        w[1] = vf_fma(vf_set1(a), odd_a, even_a);
        w[2] = even_a - vf_set1(a) * odd_a;
        w[3] = vf_fma(vf_set1(b), odd_b, even_b);
        w[4] = even_b - vf_set1(b) * odd_b;
        w[5] = dy[3];
    }
    XB_INLINE void sums(const VF (&p)[n], VF (&dw)[3]) {
        const VF even_a = vf_set1(at_a) * (p[1] + p[2]), odd_a = vf_set1(at_a * a) * (p[1] - p[2]);
        const VF even_b = vf_set1(at_b) * (p[3] + p[4]), odd_b = vf_set1(at_b * b) * (p[3] - p[4]);
        dw[0] = vf_fma(vf_set1(at_zero), p[0], even_a + even_b);
        dw[1] = odd_a + odd_b;
        dw[2] = vf_fma(vf_set1(a2), even_a, vf_fma(vf_set1(b2), even_b, p[5]));
    }
};

// F(2, 3) with the points 0, 1, -1, infinity.
struct F23 {
    enum { m = 2, n = 4 };

    XB_INLINE void input(const VF (&d)[n], VF (&v)[n]) {
        v[0] = d[2] - d[0];
        v[1] = d[2] + d[1];
        v[2] = d[2] - d[1];
        v[3] = d[3] - d[1];
    }
    XB_INLINE void filter(const VF (&g)[3], VF (&u)[n]) {
        const VF even = vf_set1(0.5f) * (g[0] + g[2]), odd = vf_set1(0.5f) * g[1];
        u[0] = vf_zero() - g[0];
        u[1] = even + odd;
        u[2] = even - odd;
        u[3] = g[2];
    }
    XB_INLINE void output(const VF (&p)[n], VF (&y)[m]) {
        y[0] = p[0] + (p[1] + p[2]);
        y[1] = (p[1] - p[2]) + p[3];
    }
    XB_INLINE void gradient(const VF (&dy)[m], VF (&w)[n]) {
        w[0] = vf_zero() - dy[0];
        w[1] = dy[0] + dy[1];
        w[2] = dy[0] - dy[1];
        w[3] = dy[1];
    }
    XB_INLINE void sums(const VF (&p)[n], VF (&dw)[3]) {
        const VF even = vf_set1(0.5f) * (p[1] + p[2]);
        dw[0] = p[0] + even;
        dw[1] = vf_set1(0.5f) * (p[1] - p[2]);
        dw[2] = even + p[3];
    }
};

// The two-dimensional transforms: columns, then rows. load(j, d) gives column j of the source; vector (i, j) of
// the result lies at to + (i*columns of the result + j)*step.

template <class F, class Load>
XB_INLINE void winograd_input(const Load& load, float* to, int64_t step) {
    VF half[F::n][F::n];
#pragma GCC unroll 6
    for (int j = 0; j < F::n; ++j) {
        VF d[F::n], v[F::n];
        load(j, d);
        F::input(d, v);
#pragma GCC unroll 6
        for (int i = 0; i < F::n; ++i) half[i][j] = v[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < F::n; ++i) {
        VF v[F::n];
        F::input(half[i], v);
#pragma GCC unroll 6
        for (int j = 0; j < F::n; ++j) vf_store(to + (i * F::n + j) * step, v[j]);
    }
}

template <class F>
XB_INLINE void winograd_filter(const VF (&taps)[3][3], float* to, int64_t step) {
    VF half[F::n][3];
#pragma GCC unroll 3
    for (int s = 0; s < 3; ++s) {
        const VF g[3] = {taps[0][s], taps[1][s], taps[2][s]};
        VF u[F::n];
        F::filter(g, u);
#pragma GCC unroll 6
        for (int i = 0; i < F::n; ++i) half[i][s] = u[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < F::n; ++i) {
        VF u[F::n];
        F::filter(half[i], u);
#pragma GCC unroll 6
        for (int j = 0; j < F::n; ++j) vf_store(to + (i * F::n + j) * step, u[j]);
    }
}

// y[i][j] of the tile from its n*n products at from + point*step.
template <class F>
XB_INLINE void winograd_output(const float* from, int64_t step, VF (&y)[F::m][F::m]) {
    VF half[F::m][F::n];
#pragma GCC unroll 6
    for (int j = 0; j < F::n; ++j) {
        VF p[F::n], v[F::m];
#pragma GCC unroll 6
        for (int i = 0; i < F::n; ++i) p[i] = vf_load(from + (i * F::n + j) * step);
        F::output(p, v);
#pragma GCC unroll 4
        for (int i = 0; i < F::m; ++i) half[i][j] = v[i];
    }
#pragma GCC unroll 4
    for (int i = 0; i < F::m; ++i) F::output(half[i], y[i]);
}

template <class F, class Load>
XB_INLINE void winograd_gradient(const Load& load, float* to, int64_t step) {
    VF half[F::n][F::m];
#pragma GCC unroll 4
    for (int j = 0; j < F::m; ++j) {
        VF dy[F::m], w[F::n];
        load(j, dy);
        F::gradient(dy, w);
#pragma GCC unroll 6
        for (int i = 0; i < F::n; ++i) half[i][j] = w[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < F::n; ++i) {
        VF w[F::n];
        F::gradient(half[i], w);
#pragma GCC unroll 6
        for (int j = 0; j < F::n; ++j) vf_store(to + (i * F::n + j) * step, w[j]);
    }
}

// The nine sums of a filter from the n*n sums of products at from + point*from_step, to to + tap*to_step.
template <class F>
XB_INLINE void winograd_sums(const float* from, int64_t from_step, float* to, int64_t to_step) {
    VF half[3][F::n];
#pragma GCC unroll 6
    for (int j = 0; j < F::n; ++j) {
        VF p[F::n], v[3];
#pragma GCC unroll 6
        for (int i = 0; i < F::n; ++i) p[i] = vf_load(from + (i * F::n + j) * from_step);
        F::sums(p, v);
#pragma GCC unroll 3
        for (int i = 0; i < 3; ++i) half[i][j] = v[i];
    }
#pragma GCC unroll 3
    for (int i = 0; i < 3; ++i) {
        VF v[3];
        F::sums(half[i], v);
#pragma GCC unroll 3
        for (int j = 0; j < 3; ++j) vf_store(to + (i * 3 + j) * to_step, v[j]);
    }
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
