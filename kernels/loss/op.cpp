// softmax_cross_entropy and bce_with_logits: shapes, gradients and work. A loss starts the backward pass: its own gradient
// is 1.
#include "kernels/infer.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

std::vector<Value> infer_softmax(const Attrs&, std::span<const Value* const> in) {
    require_rank(*in[0], 2, "the logits");
    return {output({1}, Role::statistic, DType::f64), output(in[0]->shape)};
}

std::vector<Value> infer_bce(const Attrs& attrs, std::span<const Value* const> in) {
    require(in[0]->shape == in[1]->shape,
            "targets of shape " + to_string(in[1]->shape) + " do not fit logits of shape " + to_string(in[0]->shape));
    return infer_softmax(attrs, in);
}

// Of a gradient: probabilities, labels, and the operands from this one on.
std::vector<ValueId> with_rest(const Node& node, std::ptrdiff_t from) {
    std::vector<ValueId> in{node.out[1], node.in[1]};
    in.insert(in.end(), node.in.begin() + from, node.in.end());
    return in;
}

void grad_softmax(GradBuilder& g, const Node& node) {
    const auto d = g.append(OpKind::softmax_cross_entropy_grad, node.attrs, with_rest(node, 2), node.name, {node.in[0]});
    g.contribute(node.in[0], d[0], node.name);
}

void grad_bce(GradBuilder& g, const Node& node) {
    const auto d = g.append(OpKind::bce_with_logits_grad, node.attrs, with_rest(node, 2), node.name, {node.in[0]});
    g.contribute(node.in[0], d[0], node.name);
}

Work work(const Problem& p) { return elementwise_work(p, 10); }

}  // namespace

std::vector<OpDef> loss_ops() {
    return {
        {OpKind::softmax_cross_entropy, "logits* labels* [class_weight] -> loss_sum probabilities*", infer_softmax,
         grad_softmax, work, reference_softmax_cross_entropy, false, nullptr, nullptr, nullptr, nullptr},
        {OpKind::softmax_cross_entropy_grad, "probabilities* labels* [class_weight] -> dlogits*", nullptr, nullptr, work,
         reference_softmax_cross_entropy_grad, false, nullptr, nullptr, nullptr, nullptr},
        {OpKind::bce_with_logits, "logits* targets* [pos_weight] [class_weight] -> loss_sum probabilities*", infer_bce,
         grad_bce, work, reference_bce_with_logits, false, nullptr, nullptr, nullptr, nullptr},
        {OpKind::bce_with_logits_grad, "probabilities* targets* [pos_weight] [class_weight] -> dlogits*", nullptr, nullptr,
         work, reference_bce_with_logits_grad, false, nullptr, nullptr, nullptr, nullptr},
    };
}

}  // namespace xbench
