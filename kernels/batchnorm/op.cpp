// batchnorm: shapes, the gradient through the batch's own statistics, and work; core/ops.h lists the parts.
#include <algorithm>

#include "kernels/infer.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

std::vector<Value> infer_forward(const Attrs&, std::span<const Value* const> in) {
    const Value &x = *in[0], &gamma = *in[1];
    require_rank(x, 4, "the input of a batch normalisation");
    require(
        gamma.shape.rank == 1 && gamma.shape[0] == x.shape[1],
        "an input of " + std::to_string(x.shape[1]) + " channels does not fit a scale of shape " + to_string(gamma.shape));
    return {output(x.shape)};
}

std::vector<Value> infer_sums(const Attrs&, std::span<const Value* const> in) {
    return {output({2, in[0]->shape[1]}, Role::statistic, DType::f64)};
}

// Of the running mean (in[1] of finalize, in[0] of inference): mean and rstd of each channel.
std::vector<Value> infer_finalize(const Attrs&, std::span<const Value* const> in) {
    return {output({2, in[1]->shape[0]}, Role::statistic)};
}
std::vector<Value> infer_inference(const Attrs&, std::span<const Value* const> in) {
    return {output({2, in[0]->shape[0]}, Role::statistic)};
}

std::vector<Value> infer_apply(const Attrs&, std::span<const Value* const> in) { return {output(in[0]->shape)}; }

// With running statistics the function is a scale and a shift of each channel, and so is its gradient: the same operator
// with no mean and no shift. Freezing has put those zeros into the graph (models/freeze.cpp).
void grad_frozen(GradBuilder& g, const Node& node, ValueId dy) {
    const Graph& graph = g.graph();
    const auto zeros = std::find_if(graph.values.begin(), graph.values.end(), [&](const Value& value) {
        return value.role == Role::constant && value.name == zeros_of_frozen(node.name);
    });
    const auto inference = std::find_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& before) {
        return before.op == OpKind::batchnorm_inference && before.out[0] == node.in[1];
    });
    require(zeros != graph.values.end() && inference != graph.nodes.end(), node.name + " is not frozen as a layer");
    const auto zero = static_cast<ValueId>(zeros - graph.values.begin());
    const ValueId var = inference->in[1];
    const ValueId rstd = g.append(OpKind::batchnorm_inference, node.attrs, {zero, var}, node.name)[0];
    const ValueId dx =
        g.append(OpKind::batchnorm_apply, node.attrs, {dy, rstd, node.in[2], zero}, node.name, {node.in[0]})[0];
    g.contribute(node.in[0], dx, node.name);
}

// The statistics are part of the function: dx = gamma rstd (dy - mean(dy) - xhat mean(dy xhat)), the means over all ranks.
void grad_apply(GradBuilder& g, const Node& node) {
    const ValueId x = node.in[0], mean_rstd = node.in[1], gamma = node.in[2], beta = node.in[3];
    const ValueId dy = g.gradient(node.out[0]);
    if (std::get<BatchNorm>(node.attrs).frozen) return grad_frozen(g, node, dy);
    const ValueId sums = g.append(OpKind::batchnorm_grad_statistics, node.attrs, {x, dy, mean_rstd}, node.name)[0];
    const ValueId total = g.append(OpKind::all_reduce, {}, {sums}, node.name)[0];
    if (g.needed(gamma) || g.needed(beta)) {
        const auto grads = g.append(OpKind::batchnorm_grad_parameters, node.attrs, {total}, node.name, {gamma, beta});
        g.set_parameter_gradient(gamma, grads[0]);
        g.set_parameter_gradient(beta, grads[1]);
    }
    if (!g.needed(x)) return;
    const auto dx = g.append(OpKind::batchnorm_grad_input, node.attrs, {x, dy, mean_rstd, gamma, total}, node.name, {x});
    g.contribute(x, dx[0], node.name);
}

Work statistics_work(const Problem& p) { return elementwise_work(p, 4); }
Work apply_work(const Problem& p) { return elementwise_work(p, 2); }
Work grad_input_work(const Problem& p) { return elementwise_work(p, 5); }
Work small_work(const Problem& p) { return elementwise_work(p, 1); }

}  // namespace

std::vector<OpDef> batchnorm_ops() {
    return {
        {OpKind::batchnorm, "x* gamma beta running_mean running_var -> y*", infer_forward, nullptr, nullptr, nullptr, false,
         known_in<BatchNorm>, nullptr, nullptr, nullptr},
        {OpKind::batchnorm_statistics, "x* running_mean -> sums", infer_sums, nullptr, statistics_work,
         reference_batchnorm_statistics, false, known_in<BatchNorm>, nullptr, nullptr, nullptr},
        {OpKind::batchnorm_finalize, "sums running_mean running_var -> mean_rstd running_mean running_var", infer_finalize,
         nullptr, small_work, reference_batchnorm_finalize, false, known_in<BatchNorm>, nullptr, nullptr, nullptr},
        {OpKind::batchnorm_inference, "running_mean running_var -> mean_rstd", infer_inference, nullptr, small_work,
         reference_batchnorm_inference, false, known_in<BatchNorm>, nullptr, nullptr, nullptr},
        {OpKind::batchnorm_apply, "x* mean_rstd gamma beta -> y*", infer_apply, grad_apply, apply_work,
         reference_batchnorm_apply, false, known_in<BatchNorm>, part<&BatchNorm::activation>, nullptr, nullptr},
        {OpKind::batchnorm_grad_statistics, "x* dy* mean_rstd [y*] -> sums", infer_sums, nullptr, statistics_work,
         reference_batchnorm_grad_statistics, false, known_in<BatchNorm>, nullptr, nullptr, nullptr},
        {OpKind::batchnorm_grad_parameters, "sums -> dgamma dbeta", nullptr, nullptr, small_work,
         reference_batchnorm_grad_parameters, false, known_in<BatchNorm>, nullptr, nullptr, nullptr},
        {OpKind::batchnorm_grad_input, "x* dy* mean_rstd gamma sums [y*] -> dx*", nullptr, nullptr, grad_input_work,
         reference_batchnorm_grad_input, false, known_in<BatchNorm>, nullptr, nullptr, nullptr},
        {OpKind::batchnorm_pool_apply, "x* mean_rstd gamma beta -> y* [index*] [xhat*]", nullptr, nullptr, apply_work,
         reference_batchnorm_pool_apply, false, known_in<BatchNormPool>, nullptr, part<&BatchNormPool::dropout>, nullptr},
        {OpKind::batchnorm_pool_grad_statistics, "xhat* dy* [index*] -> sums", nullptr, nullptr, statistics_work,
         reference_batchnorm_pool_grad_statistics, false, known_in<BatchNormPool>, nullptr, part<&BatchNormPool::dropout>,
         nullptr},
        {OpKind::batchnorm_pool_grad_input, "x* dy* index* mean_rstd gamma sums -> dx*", nullptr, nullptr, grad_input_work,
         reference_batchnorm_pool_grad_input, false, known_in<BatchNormPool>, nullptr, part<&BatchNormPool::dropout>,
         nullptr},
    };
}

}  // namespace xbench
