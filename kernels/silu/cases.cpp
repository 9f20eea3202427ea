// SiLU: a line is the pass forward and its gradient, on images in both layouts or on rows of features.
#include "kernels/cases/calls.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

std::vector<LayerProblem> calls(const ProblemFields& f) {
    std::vector<LayerProblem> all;
    for (const KernelTensor& x : images_or_rows(f)) {
        all.push_back(call(OpKind::silu, {}, {x}, {x}));
        all.push_back(call(OpKind::silu_grad, {}, {x, x}, {x}));
    }
    return all;
}

// Both tails as well as the middle.
template <int x>
void fill(const Fill& fill) {
    transform(fill.args.in[x], [](double v) { return 8 * v; });
}

}  // namespace

FolderCases silu_cases() {
    return {{{"silu", XB_IMAGE_KEYS "f#", calls}},
            {{OpKind::silu, fill<0>, of_absolute_inputs, false, 8, no_operator},
             {OpKind::silu_grad, fill<1>, of_absolute_inputs, false, 8, no_operator}}};
}

}  // namespace xbench
