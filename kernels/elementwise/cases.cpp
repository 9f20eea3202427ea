// relu, add, reorder and flatten, on images in both layouts and on rows of features.
#include "kernels/cases/calls.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

std::vector<LayerProblem> relu(const ProblemFields& f) {
    std::vector<LayerProblem> all;
    for (const KernelTensor& x : images_or_rows(f)) {
        all.push_back(call(OpKind::relu, {}, {x}, {x}));
        all.push_back(call(OpKind::relu_grad, {}, {x, x}, {x}));
    }
    return all;
}

std::vector<LayerProblem> add(const ProblemFields& f) {
    std::vector<LayerProblem> all;
    for (const KernelTensor& x : images_or_rows(f)) {
        all.push_back(call(OpKind::add, Elementwise{activation(f)}, {x, x}, {x}));
        all.push_back(call(OpKind::accumulate, Elementwise{}, {x, x}, {x}));
    }
    return all;
}

std::vector<LayerProblem> reorder(const ProblemFields& f) {
    const KernelTensor images = tensor(image_shape(f));
    std::vector<LayerProblem> all;
    for (const Layout layout : {Layout::nchw16c, Layout::nhwc}) {
        const KernelTensor other = tensor(image_shape(f), layout);
        all.push_back(call(OpKind::reorder, Elementwise{}, {images}, {other}));
        all.push_back(call(OpKind::reorder, Elementwise{}, {other}, {images}));
    }
    return all;
}

std::vector<LayerProblem> flatten(const ProblemFields& f) {
    const Shape x = image_shape(f);
    const KernelTensor row = tensor({x[0], x[1] * x[2] * x[3]});
    std::vector<LayerProblem> all;
    for (const Layout layout : layouts) {
        all.push_back(call(OpKind::flatten, {}, {tensor(x, layout)}, {row}));
        all.push_back(call(OpKind::flatten, {}, {row}, {tensor(x, layout)}));
    }
    return all;
}

void fill_relu_grad(const Fill& fill) { make_positive_part(fill.args.in[1]); }

}  // namespace

FolderCases elementwise_cases() {
    return {{
                {"relu", XB_IMAGE_KEYS "f#", relu},
                {"add", XB_IMAGE_KEYS "f# relu", add},
                {"reorder", XB_IMAGE_KEYS, reorder},
                {"flatten", XB_IMAGE_KEYS, flatten},
            },
            {
                {OpKind::relu, nullptr, of_result, true, 0, no_operator},
                {OpKind::relu_grad, fill_relu_grad, of_result, true, 0, OpKind::relu},
                {OpKind::add, nullptr, of_absolute_inputs, true, 8, no_operator},
                {OpKind::accumulate, nullptr, of_absolute_inputs, true, 8, no_operator},
                {OpKind::reorder, nullptr, of_result, true, 0, no_operator},
                {OpKind::flatten, nullptr, of_result, true, 0, no_operator},
            }};
}

}  // namespace xbench
