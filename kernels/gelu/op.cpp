// gelu: y = x Phi(x) with the normal distribution's Phi, as PyTorch's default ("none", by erf, not by tanh).
// Hendrycks and Gimpel, 2016. gelu_grad: dx = dy (Phi(x) + x phi(x)).
#include "kernels/infer.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

Work work(const Problem& p) { return elementwise_work(p, 34); }

}  // namespace

std::vector<OpDef> gelu_ops() {
    return {
        {OpKind::gelu, "x* -> y*", infer_same, grad_from_input<OpKind::gelu_grad>, work, reference_gelu, false, nullptr,
         nullptr, nullptr, nullptr},
        {OpKind::gelu_grad, "dy* x* -> dx*", nullptr, nullptr, work, reference_gelu_grad, false, nullptr, nullptr, nullptr,
         nullptr},
    };
}

}  // namespace xbench
