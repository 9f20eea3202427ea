// max_pool2d, avg_pool2d, global_avg_pool: shapes, gradients and work.
#include "kernels/infer.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

Shape pooled(const Pool2d& a, const Value& x) {
    require_rank(x, 4, "the input of a pooling");
    require(a.r > 0 && a.s > 0 && a.stride_h > 0 && a.stride_w > 0, "window and stride of a pooling must be positive");
    require(a.r * a.s <= 256, "a pooling window may have at most 256 elements");
    require(2 * a.pad_h <= a.r && 2 * a.pad_w <= a.s, "the padding of a pooling may be at most half its window");
    require(x.shape[2] + 2 * a.pad_h >= a.r && x.shape[3] + 2 * a.pad_w >= a.s,
            "an image of " + std::to_string(x.shape[2]) + "x" + std::to_string(x.shape[3]) +
                " is smaller than the pooling window",
            "use larger images or a model with fewer reductions");
    return {x.shape[0], x.shape[1], (x.shape[2] + 2 * a.pad_h - a.r) / a.stride_h + 1,
            (x.shape[3] + 2 * a.pad_w - a.s) / a.stride_w + 1};
}

std::vector<Value> infer_max(const Attrs& attrs, std::span<const Value* const> in) {
    const Shape shape = pooled(std::get<Pool2d>(attrs), *in[0]);
    return {output(shape), output(shape, Role::activation, DType::u8)};
}
std::vector<Value> infer_avg(const Attrs& attrs, std::span<const Value* const> in) {
    return {output(pooled(std::get<Pool2d>(attrs), *in[0]))};
}
std::vector<Value> infer_global(const Attrs&, std::span<const Value* const> in) {
    require_rank(*in[0], 4, "the input of a global average pooling");
    return {output({in[0]->shape[0], in[0]->shape[1]})};
}

void grad_max(GradBuilder& g, const Node& node) {
    const auto dx =
        g.append(OpKind::max_pool2d_grad, node.attrs, {g.gradient(node.out[0]), node.out[1]}, node.name, {node.in[0]});
    g.contribute(node.in[0], dx[0], node.name);
}
template <OpKind gradient_op>
void grad_plain(GradBuilder& g, const Node& node) {
    const auto dx = g.append(gradient_op, node.attrs, {g.gradient(node.out[0])}, node.name, {node.in[0]});
    g.contribute(node.in[0], dx[0], node.name);
}

Work work(const Problem& p) { return elementwise_work(p, 1); }

}  // namespace

std::vector<OpDef> pool2d_ops() {
    return {
        {OpKind::max_pool2d, "x* -> y* [index*]", infer_max, grad_max, work, reference_max_pool2d, false, nullptr, nullptr,
         part<&Pool2d::dropout>, nullptr},
        {OpKind::max_pool2d_grad, "dy* index* [y*] -> dx*", nullptr, nullptr, work, reference_max_pool2d_grad, false,
         nullptr, nullptr, part<&Pool2d::dropout>, nullptr},
        {OpKind::avg_pool2d, "x* -> y*", infer_avg, grad_plain<OpKind::avg_pool2d_grad>, work, reference_avg_pool2d, false,
         nullptr, nullptr, nullptr, nullptr},
        {OpKind::avg_pool2d_grad, "dy* -> dx*", nullptr, nullptr, work, reference_avg_pool2d_grad, false, nullptr, nullptr,
         nullptr, nullptr},
        {OpKind::global_avg_pool, "x* -> y*", infer_global, grad_plain<OpKind::global_avg_pool_grad>, work,
         reference_global_avg_pool, false, nullptr, nullptr, nullptr, nullptr},
        {OpKind::global_avg_pool_grad, "dy* -> dx*", nullptr, nullptr, work, reference_global_avg_pool_grad, false, nullptr,
         nullptr, nullptr, nullptr},
    };
}

}  // namespace xbench
