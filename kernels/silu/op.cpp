// silu: y = x s(x) with the logistic function s, as PyTorch's SiLU (swish). Elfwing, Uchibe and Doya, 2018.
// silu_grad: dx = dy s (1 + x (1 - s)).
#include "kernels/infer.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

Work work(const Problem& p) { return elementwise_work(p, 24); }

}  // namespace

std::vector<OpDef> silu_ops() {
    return {
        {OpKind::silu, "x* -> y*", infer_same, grad_from_input<OpKind::silu_grad>, work, reference_silu, false, nullptr,
         nullptr, nullptr, nullptr},
        {OpKind::silu_grad, "dy* x* -> dx*", nullptr, nullptr, work, reference_silu_grad, false, nullptr, nullptr, nullptr,
         nullptr},
    };
}

}  // namespace xbench
