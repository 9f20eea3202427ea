// Dropout: a line is the pass forward and its gradient.
#include "kernels/cases/calls.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

std::vector<LayerProblem> dropout(const ProblemFields& f) {
    const Dropout a{static_cast<float>(f.real("p", 0.5)), f.has("per_channel"), 7};
    std::vector<LayerProblem> all;
    for (const KernelTensor& x : images_or_rows(f)) {
        all.push_back(call(OpKind::dropout, a, {x}, {x}));
        all.push_back(call(OpKind::dropout_grad, a, {x}, {x}));
    }
    return all;
}

}  // namespace

FolderCases dropout_cases() {
    return {{
                {"dropout", XB_IMAGE_KEYS "f# p= per_channel", dropout},
            },
            {
                {OpKind::dropout, nullptr, of_result, false, 8, no_operator},
                {OpKind::dropout_grad, nullptr, of_result, false, 8, OpKind::dropout},
            }};
}

}  // namespace xbench
