// Batch normalisation in front of a max-pooling becomes one operator, forward and backward:
//
//   batchnorm_apply -> y_full -> max_pool2d -> y, index               batchnorm_pool_apply -> y, index, xhat
//   dy -> max_pool2d_grad -> dy_full -> batchnorm_grad_statistics     batchnorm_pool_grad_statistics (xhat, dy)
//                                    -> batchnorm_grad_input          batchnorm_pool_grad_input (x, dy, index)
//
// y_full and dy_full, the two largest tensors of such a layer, are then never written. Only where the windows touch without
// overlapping and nobody else reads y_full.
#include <algorithm>

#include "plan/passes.h"

namespace xbench {
namespace {

// The nodes around one pooled batch normalisation; the last three only in a training plan.
struct Pattern {
    NodeId apply = -1, pool = -1, pool_grad = -1, grad_statistics = -1, grad_input = -1;
};

// Fills the pattern around the apply node; false when it does not fit.
bool match(const Graph& graph, Pattern& pattern) {
    const ValueId y_full = graph.node(pattern.apply).out[0];
    ValueId dy_full = no_value;
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        const Node& node = graph.nodes[i];
        if (node.op == OpKind::max_pool2d && reads(node, y_full)) {
            if (pattern.pool >= 0 || !touching_windows(std::get<Pool2d>(node.attrs))) return false;
            pattern.pool = static_cast<NodeId>(i);
        }
    }
    if (pattern.pool < 0) return false;
    const Node& pool = graph.node(pattern.pool);
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        const Node& node = graph.nodes[i];
        if (pool.out.size() > 1 && node.op == OpKind::max_pool2d_grad && node.in[1] == pool.out[1]) {
            pattern.pool_grad = static_cast<NodeId>(i);
            dy_full = node.out[0];
        }
    }
    if (graph.is_output(y_full) || (dy_full != no_value && graph.is_output(dy_full))) return false;
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        const Node& node = graph.nodes[i];
        const auto id = static_cast<NodeId>(i);
        const bool reads_dy = dy_full != no_value && reads(node, dy_full);
        if (reads_dy && node.op == OpKind::batchnorm_grad_statistics && node.in[1] == dy_full)
            pattern.grad_statistics = id;
        else if (reads_dy && node.op == OpKind::batchnorm_grad_input && node.in[1] == dy_full)
            pattern.grad_input = id;
        else if (id != pattern.pool && id != pattern.pool_grad && (reads(node, y_full) || reads_dy))
            return false;
    }
    const bool backward_complete = pattern.grad_statistics >= 0;  // grad_input may be missing: nobody needs dx
    return pool.out.size() == 1 || (pattern.pool_grad >= 0 && backward_complete);
}

void rewrite(Graph& graph, const Pattern& pattern, std::vector<bool>& dead) {
    Node& pool = graph.node(pattern.pool);
    Node& apply = graph.node(pattern.apply);
    const auto& window = std::get<Pool2d>(pool.attrs);
    const BatchNormPool attrs{std::get<BatchNorm>(apply.attrs), window.r, window.s};
    const bool relu = attrs.norm.activation == Activation::relu;
    const ValueId y = pool.out[0];
    const bool training = pool.out.size() > 1;
    apply.op = OpKind::batchnorm_pool_apply;
    apply.attrs = attrs;
    apply.out = pool.out;
    dead[static_cast<size_t>(pattern.pool)] = true;
    if (!training) return;

    const Value like = graph.value(y);
    const ValueId xhat = graph.add(like);
    apply.out.push_back(xhat);
    const Node& pool_grad = graph.node(pattern.pool_grad);
    const ValueId dy = pool_grad.in[0], index = pool_grad.in[1];
    dead[static_cast<size_t>(pattern.pool_grad)] = true;

    Node& statistics = graph.node(pattern.grad_statistics);
    statistics.op = OpKind::batchnorm_pool_grad_statistics;
    statistics.attrs = attrs;
    statistics.in = {xhat, dy};
    if (relu) statistics.in.push_back(index);
    if (pattern.grad_input < 0) return;
    Node& input = graph.node(pattern.grad_input);
    input.op = OpKind::batchnorm_pool_grad_input;
    const ValueId x = input.in[0], mean_rstd = input.in[2], gamma = input.in[3], sums = input.in[4];
    BatchNormPool input_attrs = attrs;
    input_attrs.norm.input_activation = std::get<BatchNorm>(input.attrs).input_activation;
    input.attrs = input_attrs;
    input.in = {x, dy, index, mean_rstd, gamma, sums};
}

}  // namespace

void fuse_batchnorm_pool(Graph& graph, std::vector<bool>& dead) {
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        if (graph.nodes[i].op != OpKind::batchnorm_apply) continue;
        Pattern pattern;
        pattern.apply = static_cast<NodeId>(i);
        if (match(graph, pattern)) rewrite(graph, pattern, dead);
    }
}

}  // namespace xbench
