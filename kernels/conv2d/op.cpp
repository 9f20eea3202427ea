// conv2d: shapes, gradients and work. x{n,c,h,w}, w{k,c/groups,r,s}, [b{k}] -> y{n,k,p,q}.
#include "kernels/infer.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

int64_t output_size(int64_t size, int filter, int stride, int pad, int dilation) {
    return (size + 2 * pad - dilation * (filter - 1) - 1) / stride + 1;
}

std::vector<Value> infer(const Attrs& attrs, std::span<const Value* const> in) {
    const auto& a = std::get<Conv2d>(attrs);
    const Value &x = *in[0], &w = *in[1];
    require_rank(x, 4, "the input of a convolution");
    require_rank(w, 4, "the filter of a convolution");
    require(a.stride_h > 0 && a.stride_w > 0 && a.dilation_h > 0 && a.dilation_w > 0 && a.groups > 0 && a.pad_h >= 0 &&
                a.pad_w >= 0,
            "stride, dilation and groups must be positive and padding not negative");
    require(x.shape[1] == w.shape[1] * a.groups && w.shape[0] % a.groups == 0,
            "an input of " + std::to_string(x.shape[1]) + " channels does not fit a filter of shape " + to_string(w.shape) +
                " in " + std::to_string(a.groups) + " groups");
    const int64_t p = output_size(x.shape[2], a.r, a.stride_h, a.pad_h, a.dilation_h);
    const int64_t q = output_size(x.shape[3], a.s, a.stride_w, a.pad_w, a.dilation_w);
    require(
        x.shape[2] + 2 * a.pad_h >= a.dilation_h * (a.r - 1) + 1 && x.shape[3] + 2 * a.pad_w >= a.dilation_w * (a.s - 1) + 1,
        "an image of " + std::to_string(x.shape[2]) + "x" + std::to_string(x.shape[3]) + " is smaller than the filter",
        "use larger images or a model with fewer reductions");
    return {output({x.shape[0], w.shape[0], p, q})};
}

void grad(GradBuilder& g, const Node& node) {
    const ValueId dy = g.gradient(node.out[0]), x = node.in[0], w = node.in[1];
    const ValueId b = node.in.size() > 2 ? node.in[2] : no_value;
    if (g.needed(w) || g.needed(b)) {
        const auto grads = g.append(OpKind::conv2d_wgrad, node.attrs, {x, dy}, node.name, {w, b});
        g.set_parameter_gradient(w, grads[0]);
        if (b != no_value) g.set_parameter_gradient(b, grads[1]);
    }
    if (g.needed(x)) g.contribute(x, g.append(OpKind::conv2d_dgrad, node.attrs, {dy, w}, node.name, {x})[0], node.name);
}

// Multiply-adds of the three passes are the same: every output element times the filter.
Work convolution_work(const Problem& problem, const KernelTensor& y, const KernelTensor& w) {
    return Work{2 * elements(y) * static_cast<double>(w.dim[1] * w.dim[2] * w.dim[3]), operand_bytes(problem)};
}
// The convolution's own output, of which a pooled one keeps a part.
Work pooled_work(const Problem& p, KernelTensor y, const KernelTensor& w) {
    const Conv2d& a = static_cast<const Conv2dPool*>(p.attrs)->conv;
    y.dim[2] = output_size(p.in[0].dim[2], a.r, a.stride_h, a.pad_h, a.dilation_h);
    y.dim[3] = output_size(p.in[0].dim[3], a.s, a.stride_w, a.pad_w, a.dilation_w);
    return convolution_work(p, y, w);
}
Work pool_work(const Problem& p) { return pooled_work(p, p.out[0], p.in[1]); }
Work pool_wgrad_work(const Problem& p) { return pooled_work(p, p.in[1], p.out[0]); }
Work forward_work(const Problem& p) { return convolution_work(p, p.out[0], p.in[1]); }
Work dgrad_work(const Problem& p) { return convolution_work(p, p.in[0], p.in[1]); }
Work wgrad_work(const Problem& p) { return convolution_work(p, p.in[1], p.out[0]); }

}  // namespace

std::vector<OpDef> conv2d_ops() {
    return {
        {OpKind::conv2d, "x* w [b] -> y*", infer, grad, forward_work, reference_conv2d, true, known_in<Conv2d>,
         part<&Conv2d::activation>, nullptr, part<&Conv2d::products>},
        {OpKind::conv2d_dgrad, "dy* w -> dx*", nullptr, nullptr, dgrad_work, reference_conv2d_dgrad, true,
         no_activation_in<Conv2d>, nullptr, nullptr, part<&Conv2d::products>},
        {OpKind::conv2d_wgrad, "x* dy* -> dw [db]", nullptr, nullptr, wgrad_work, reference_conv2d_wgrad, true,
         no_activation_in<Conv2d>, nullptr, nullptr, part<&Conv2d::products>},
        {OpKind::conv2d_statistics, "x* w [b] running_mean -> y* sums", nullptr, nullptr, forward_work,
         reference_conv2d_statistics, true, known_in<Conv2d>, nullptr, nullptr, part<&Conv2d::products>},
        {OpKind::conv2d_pool, "x* w [b] -> y* [index*]", nullptr, nullptr, pool_work, reference_conv2d_pool, true,
         known_in<Conv2dPool>, nullptr, part<&Conv2dPool::dropout>, part<&Conv2dPool::conv, &Conv2d::products>},
        {OpKind::conv2d_pool_wgrad, "x* dy* index* -> dw [db]", nullptr, nullptr, pool_wgrad_work,
         reference_conv2d_pool_wgrad, true, known_in<Conv2dPool>, nullptr, nullptr,
         part<&Conv2dPool::conv, &Conv2d::products>},
        {OpKind::conv2d_batchnorm_pool_wgrad, "x* y* dy* index* mean_rstd gamma sums -> dw [db]", nullptr, nullptr,
         wgrad_work, reference_conv2d_batchnorm_pool_wgrad, true, known_in<Conv2dBatchNormPool>, nullptr, nullptr,
         part<&Conv2dBatchNormPool::conv, &Conv2d::products>},
    };
}

}  // namespace xbench
