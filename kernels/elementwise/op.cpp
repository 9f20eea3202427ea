// relu, add, flatten, and what the planner needs beside them: accumulate, reorder, all_reduce.
#include "kernels/infer.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

std::vector<Value> infer_binary(const Attrs& attrs, std::span<const Value* const> in) {
    require(in[0]->shape == in[1]->shape,
            "the operands of a sum have different shapes, " + to_string(in[0]->shape) + " and " + to_string(in[1]->shape));
    return infer_same(attrs, in);
}

std::vector<Value> infer_flatten(const Attrs&, std::span<const Value* const> in) {
    const Shape& shape = in[0]->shape;
    return {
        output({shape[0], shape.elements() / shape[0]}, in[0]->role == Role::gradient ? Role::gradient : Role::activation)};
}

void grad_relu(GradBuilder& g, const Node& node) {
    const auto dx = g.append(OpKind::relu_grad, {}, {g.gradient(node.out[0]), node.out[0]}, node.name, {node.in[0]});
    g.contribute(node.in[0], dx[0], node.name);
}

void grad_add(GradBuilder& g, const Node& node) {
    for (const ValueId operand : {node.in[0], node.in[1]})
        if (g.needed(operand)) g.contribute(operand, g.gradient(node.out[0]), node.name);
}

void grad_flatten(GradBuilder& g, const Node& node) {
    const auto dx = g.append(OpKind::flatten, {}, {g.gradient(node.out[0])}, node.name, {node.in[0]});
    g.contribute(node.in[0], dx[0], node.name);
}

Work one_flop(const Problem& p) { return elementwise_work(p, 1); }
Work no_flops(const Problem& p) { return elementwise_work(p, 0); }

}  // namespace

std::vector<OpDef> elementwise_ops() {
    return {
        {OpKind::relu, "x* -> y*", infer_same, grad_relu, one_flop, reference_relu, false, nullptr, nullptr, nullptr,
         nullptr},
        {OpKind::relu_grad, "dy* y* -> dx*", nullptr, nullptr, one_flop, reference_relu_grad, false, nullptr, nullptr,
         nullptr, nullptr},
        {OpKind::add, "a* b* -> y*", infer_binary, grad_add, one_flop, reference_add, false, known_in<Elementwise>,
         part<&Elementwise::activation>, nullptr, nullptr},
        {OpKind::accumulate, "a* b* -> y*", infer_binary, nullptr, one_flop, reference_accumulate, false,
         known_in<Elementwise>, nullptr, nullptr, nullptr},
        {OpKind::flatten, "x* -> y*", infer_flatten, grad_flatten, no_flops, reference_flatten, false, nullptr, nullptr,
         nullptr, nullptr},
        {OpKind::reorder, "x* -> y*", infer_same, nullptr, no_flops, reference_reorder, false, nullptr, nullptr, nullptr,
         nullptr},
        {OpKind::all_reduce, "sums -> total", infer_same, nullptr, no_flops, nullptr, false, nullptr, nullptr, nullptr,
         nullptr},
    };
}

}  // namespace xbench
