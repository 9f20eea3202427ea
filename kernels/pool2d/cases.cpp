// Poolings: a line is the pass forward and its gradient.
#include "kernels/cases/calls.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

Pool2d pool_attrs(const ProblemFields& f) {
    Pool2d a{};
    a.r = f.option("r", 1), a.s = f.option("s", a.r);
    a.stride_h = f.directed("stride", "_h", a.r), a.stride_w = f.directed("stride", "_w", a.s);
    a.pad_h = f.directed("pad", "_h", 0), a.pad_w = f.directed("pad", "_w", 0);
    a.count_include_pad = f.has("exclude_pad") ? 0 : 1;
    a.dropout = folded_dropout(f);
    return a;
}

std::vector<LayerProblem> max_pool2d(const ProblemFields& f) {
    const Pool2d a = pool_attrs(f);
    const Shape x = image_shape(f), y = infer_shape(OpKind::max_pool2d, a, {x});
    std::vector<LayerProblem> all;
    for (const Layout layout : layouts) {
        const KernelTensor image = tensor(x, layout), pooled = tensor(y, layout), index = tensor(y, layout, DType::u8);
        if (f.has("noindex")) {
            all.push_back(call(OpKind::max_pool2d, a, {image}, {pooled}));
            continue;
        }
        all.push_back(call(OpKind::max_pool2d, a, {image}, {pooled, index}));
        all.push_back(call(OpKind::max_pool2d_grad, a, {pooled, index}, {image}));
        if (f.has("relu")) all.back().in.push_back(pooled);
    }
    return all;
}

std::vector<LayerProblem> avg_pool2d(const ProblemFields& f) {
    const Pool2d a = pool_attrs(f);
    const Shape x = image_shape(f), y = infer_shape(OpKind::avg_pool2d, a, {x});
    std::vector<LayerProblem> all;
    for (const Layout layout : layouts) {
        all.push_back(call(OpKind::avg_pool2d, a, {tensor(x, layout)}, {tensor(y, layout)}));
        all.push_back(call(OpKind::avg_pool2d_grad, a, {tensor(y, layout)}, {tensor(x, layout)}));
    }
    return all;
}

std::vector<LayerProblem> global_avg_pool(const ProblemFields& f) {
    const Shape x = image_shape(f), y{x[0], x[1]};
    std::vector<LayerProblem> all;
    for (const Layout layout : layouts) {
        all.push_back(call(OpKind::global_avg_pool, Pool2d{}, {tensor(x, layout)}, {tensor(y)}));
        all.push_back(call(OpKind::global_avg_pool_grad, Pool2d{}, {tensor(y)}, {tensor(x, layout)}));
    }
    return all;
}

void fill_max_pool_grad(const Fill& fill) {
    const KernelArgs& args = fill.args;
    fill_pool_index(args.out[0], args.in[0], args.in[1], *static_cast<const Pool2d*>(args.attrs), fill);
    if (args.n_in > 2) make_positive_part(args.in[2]);
}

}  // namespace

FolderCases pool2d_cases() {
    return {{
                {"max_pool2d", XB_IMAGE_KEYS XB_WINDOW_KEYS "noindex relu p= per_channel", max_pool2d},
                {"avg_pool2d", XB_IMAGE_KEYS XB_WINDOW_KEYS "exclude_pad", avg_pool2d},
                {"global_avg_pool", XB_IMAGE_KEYS, global_avg_pool},
            },
            {
                {OpKind::max_pool2d, nullptr, of_result, true, 0, no_operator},
                {OpKind::max_pool2d_grad, fill_max_pool_grad, of_absolute_inputs, true, 8, OpKind::max_pool2d},
                {OpKind::avg_pool2d, nullptr, of_absolute_inputs, false, 8, no_operator},
                {OpKind::avg_pool2d_grad, nullptr, of_absolute_inputs, false, 8, OpKind::avg_pool2d},
                {OpKind::global_avg_pool, nullptr, of_absolute_inputs, false, 8, no_operator},
                {OpKind::global_avg_pool_grad, nullptr, of_result, false, 8, OpKind::global_avg_pool},
            }};
}

}  // namespace xbench
