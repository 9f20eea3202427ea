// "vector": gelu and gelu_grad over the stored floats. With a = |x| the tail of the normal distribution is
//   Phi(-a) = exp(-a^2 / 2) u P(u),  u = 1 / (1 + a/4)
// (the form of Abramowitz and Stegun 26.2.17), here with a P of degree 9, interpolated at the Chebyshev nodes of u in [0,
// 1]: off by at most 1.1e-8, a fifth of a rounding of Phi. One exponential serves Phi and phi, nothing branches, and the
// left tail keeps its leading digits. A NaN stays one.
#include "kernels/simd/exponential.h"
#include "kernels/simd/map_floats.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows gelu_rows();
namespace {

struct Normal {
    VF distribution, density;  // Phi(x), phi(x)
};

XB_INLINE Normal normal_of(VF x) {
    const VF zero = vf_zero(), one = vf_set1(1);
    const VF a = vf_max(x, zero - x);
    const VF bell = vf_exp(vf_set1(-0.5f) * a * a);
    const VF u = one / vf_fma(vf_set1(0.25f), a, one);
    const float coefficients[] = {-8.538922771e-02f, 1.037988529e-01f, -3.974685813e-02f, 6.827399219e-02f, 5.744625969e-02f,
                                  8.188963142e-02f,  9.343951475e-02f, 9.973739677e-02f,  9.973556104e-02f};
    VF poly = vf_set1(2.081488795e-02f);
    for (const float c : coefficients) poly = vf_fma(poly, u, vf_set1(c));
    const VF tail = bell * (u * poly);
    return {vf_select(vm_greater(zero, x), tail, one - tail), bell * vf_set1(0.398942280f)};
}

void run_forward(const KernelArgs& args, const Team& team) noexcept {
    map_floats(args, team, [](const Chunk& x, const Chunk&) {
        Chunk y;
        for (int i = 0; i < chunk_parts; ++i) y.part[i] = x.part[i] * normal_of(x.part[i]).distribution;
        return y;
    });
}

void run_grad(const KernelArgs& args, const Team& team) noexcept {
    map_floats(args, team, [](const Chunk& dy, const Chunk& x) {
        Chunk dx;
        for (int i = 0; i < chunk_parts; ++i) {
            const Normal normal = normal_of(x.part[i]);
            dx.part[i] = dy.part[i] * vf_fma(x.part[i], normal.density, normal.distribution);
        }
        return dx;
    });
}

const Kernel rows[] = {
    {OpKind::gelu, "vector", this_isa, maps_floats, nullptr, run_forward},
    {OpKind::gelu_grad, "vector", this_isa, maps_floats, nullptr, run_grad},
};

}  // namespace

KernelRows gelu_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
