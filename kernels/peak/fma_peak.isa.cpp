// Independent chains of fused multiply-adds in registers, as many as hide the latency on two FMA ports: nothing but the
// arithmetic peak. On a processor without FMA (portable) it is a multiply and an add.
#include "kernels/kernel.h"
#include "kernels/simd/simd.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {

double fma_peak(int64_t rounds, float* sink) {
    constexpr int chains = vf_registers == 32 ? 16 : 12;  // with 2 more registers for the factors
    VF sum[chains];
    for (int i = 0; i < chains; ++i) sum[i] = vf_set1(static_cast<float>(i));
    const VF a = vf_set1(sink[0]), b = vf_set1(sink[1]);
    for (int64_t round = 0; round < rounds; ++round)
        for (int i = 0; i < chains; ++i) sum[i] = vf_fma(sum[i], a, b);
    VF total = sum[0];
    for (int i = 1; i < chains; ++i) total = total + sum[i];
    sink[2] = vf_sum(total);
    return 2.0 * chains * vf_width * static_cast<double>(rounds);
}

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
