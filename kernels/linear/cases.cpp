// Linear layers: a line is the pass forward and both gradients.
#include "kernels/cases/calls.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

std::vector<LayerProblem> linear(const ProblemFields& f) {
    const Shape x{f.size("n"), f.size("f")}, w{f.size("k"), x[1]}, b{w[0]}, y{x[0], w[0]};
    std::vector<KernelTensor> in{tensor(x), tensor(w)}, gradients{tensor(w)};
    if (!f.has("nobias")) {
        in.push_back(tensor(b));
        gradients.push_back(tensor(b));
    }
    const Linear gradient{Activation::none, products(f)};
    return {call(OpKind::linear, Linear{activation(f), products(f)}, in, {tensor(y)}),
            call(OpKind::linear_dgrad, gradient, {tensor(y), tensor(w)}, {tensor(x)}),
            call(OpKind::linear_wgrad, gradient, {tensor(x), tensor(y)}, gradients)};
}

}  // namespace

FolderCases linear_cases() {
    return {{
                {"linear", "f# k# nobias relu bf16 f16 tf32", linear},
            },
            {
                {OpKind::linear, nullptr, of_absolute_inputs, true, 8, no_operator},
                {OpKind::linear_dgrad, nullptr, of_absolute_inputs, true, 8, OpKind::linear},
                {OpKind::linear_wgrad, nullptr, of_absolute_inputs, true, 8, OpKind::linear},
            }};
}

}  // namespace xbench
