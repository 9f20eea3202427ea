// "vector": silu and silu_grad over the stored floats. With e = exp(-|x|) the logistic function is 1 / (1 + e) on the right
// and e / (1 + e) on the left: nothing overflows, and the left tail keeps its leading digits. A NaN stays one.
#include "kernels/simd/exponential.h"
#include "kernels/simd/map_floats.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows silu_rows();
namespace {

struct Logistic {
    VF s, rest;  // s(x), 1 - s(x) = s(-x)
};

XB_INLINE Logistic logistic_of(VF x) {
    const VF zero = vf_zero(), one = vf_set1(1);
    const VF e = vf_exp(zero - vf_max(x, zero - x));
    const VF large = one / (one + e), small = e * large;
    const VM left = vm_greater(zero, x);
    return {vf_select(left, small, large), vf_select(left, large, small)};
}

void run_forward(const KernelArgs& args, const Team& team) noexcept {
    map_floats(args, team, [](const Chunk& x, const Chunk&) {
        Chunk y;
        for (int i = 0; i < chunk_parts; ++i) y.part[i] = x.part[i] * logistic_of(x.part[i]).s;
        return y;
    });
}

void run_grad(const KernelArgs& args, const Team& team) noexcept {
    map_floats(args, team, [](const Chunk& dy, const Chunk& x) {
        Chunk dx;
        for (int i = 0; i < chunk_parts; ++i) {
            const Logistic logistic = logistic_of(x.part[i]);
            dx.part[i] = dy.part[i] * (logistic.s * vf_fma(x.part[i], logistic.rest, vf_set1(1)));
        }
        return dx;
    });
}

const Kernel rows[] = {
    {OpKind::silu, "vector", this_isa, maps_floats, nullptr, run_forward},
    {OpKind::silu_grad, "vector", this_isa, maps_floats, nullptr, run_grad},
};

}  // namespace

KernelRows silu_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
