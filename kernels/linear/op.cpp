// linear: shapes, gradients and work. x{n,f}, w{k,f}, [b{k}] -> y{n,k} = x w^T + b.
#include "kernels/infer.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

std::vector<Value> infer(const Attrs&, std::span<const Value* const> in) {
    const Value &x = *in[0], &w = *in[1];
    require_rank(x, 2, "the input of a linear layer");
    require(w.shape.rank == 2 && w.shape[1] == x.shape[1],
            "an input of " + std::to_string(x.shape[1]) + " features does not fit weights of shape " + to_string(w.shape));
    return {output({x.shape[0], w.shape[0]})};
}

void grad(GradBuilder& g, const Node& node) {
    const ValueId dy = g.gradient(node.out[0]), x = node.in[0], w = node.in[1];
    const ValueId b = node.in.size() > 2 ? node.in[2] : no_value;
    if (g.needed(w) || g.needed(b)) {
        const auto grads = g.append(OpKind::linear_wgrad, node.attrs, {x, dy}, node.name, {w, b});
        g.set_parameter_gradient(w, grads[0]);
        if (b != no_value) g.set_parameter_gradient(b, grads[1]);
    }
    if (g.needed(x)) g.contribute(x, g.append(OpKind::linear_dgrad, node.attrs, {dy, w}, node.name, {x})[0], node.name);
}

Work matrix_work(const Problem& problem, const KernelTensor& batch_side, const KernelTensor& w) {
    return Work{2 * static_cast<double>(batch_side.dim[0]) * elements(w), operand_bytes(problem)};
}
Work forward_work(const Problem& p) { return matrix_work(p, p.in[0], p.in[1]); }
Work dgrad_work(const Problem& p) { return matrix_work(p, p.in[0], p.in[1]); }
Work wgrad_work(const Problem& p) { return matrix_work(p, p.in[0], p.out[0]); }

}  // namespace

std::vector<OpDef> linear_ops() {
    return {
        {OpKind::linear, "x* w [b] -> y*", infer, grad, forward_work, reference_linear, true, known_in<Linear>,
         part<&Linear::activation>, nullptr, part<&Linear::products>},
        {OpKind::linear_dgrad, "dy* w -> dx*", nullptr, nullptr, dgrad_work, reference_linear_dgrad, true,
         no_activation_in<Linear>, nullptr, nullptr, part<&Linear::products>},
        {OpKind::linear_wgrad, "x* dy* -> dw [db]", nullptr, nullptr, wgrad_work, reference_linear_wgrad, true,
         no_activation_in<Linear>, nullptr, nullptr, part<&Linear::products>},
    };
}

}  // namespace xbench
