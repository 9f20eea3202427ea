// dropout and dropout2d: shape, gradient (the same mask again) and work.
#include "kernels/infer.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

std::vector<Value> infer(const Attrs& attrs, std::span<const Value* const> in) {
    const auto& a = std::get<Dropout>(attrs);
    require(a.p >= 0 && a.p < 1, "the dropout probability must lie in [0, 1)");
    require(!a.per_channel || in[0]->shape.rank == 4, "dropout2d needs an input of shape {n,c,h,w}");
    return {output(in[0]->shape)};
}

void grad(GradBuilder& g, const Node& node) {
    const auto dx = g.append(OpKind::dropout_grad, node.attrs, {g.gradient(node.out[0])}, node.name, {node.in[0]});
    g.contribute(node.in[0], dx[0], node.name);
}

Work work(const Problem& p) { return elementwise_work(p, 1); }

}  // namespace

std::vector<OpDef> dropout_ops() {
    return {
        {OpKind::dropout, "x* -> y*", infer, grad, work, reference_dropout, false, nullptr, nullptr, nullptr, nullptr},
        {OpKind::dropout_grad, "dy* -> dx*", nullptr, nullptr, work, reference_dropout_grad, false, nullptr, nullptr,
         nullptr, nullptr},
    };
}

}  // namespace xbench
