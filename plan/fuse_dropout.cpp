// A dropout behind a max-pooling becomes a part of it, and its gradient a part of the pooling's:
//   pooling -> y, index; dropout of y        the same pooling -> dropped y, index, which is closed where y was dropped
//   dropout_grad -> dy, for the pooling's gradients alone    the gradients scale dy; what was dropped, their index tells
// Both passes over memory disappear, and with the gradient's half of the random numbers. Poolings are max_pool2d,
// conv2d_pool and batchnorm_pool_apply. Runs last of the fusions, when layouts are known, for it asks the registry.
#include <algorithm>
#include <cstring>

#include "kernels/op.h"
#include "plan/passes.h"

namespace xbench {
namespace {

// Whether an optimised row of the same algorithm does the dropout, too.
bool same_algorithm(const Plan& plan, const Node& alone, const Node& with_dropout) {
    const Kernel *one = chosen(plan, alone), *both = chosen(plan, with_dropout);
    return one && both && both != &reference(alone.op) && std::strcmp(one->name, both->name) == 0;
}

// What the nodes become, each with its place in the graph.
using Changes = std::vector<std::pair<NodeId, Node>>;

// The pooling in front of the dropout; false when there is none, or another operator than its gradient reads what it gives,
// be it another dropout.
bool change_pooling(const Plan& plan, const Node& dropout, const Node& gradient, Changes& changes) {
    if (plan.graph.is_output(dropout.in[0])) return false;
    for (size_t i = 0; i < plan.graph.nodes.size(); ++i) {
        Node node = plan.graph.nodes[i];
        if (node.out.empty()) continue;
        const bool allowed = node.out[0] == dropout.out[0] || reads(node, gradient.out[0]);
        if (reads(node, dropout.in[0]) && !allowed) return false;
        if (node.out[0] != dropout.in[0]) continue;
        Dropout* inside = dropout_of(node);
        if (!inside || (node.op == OpKind::max_pool2d && !touching_windows(std::get<Pool2d>(node.attrs)))) return false;
        *inside = std::get<Dropout>(dropout.attrs);
        node.out[0] = dropout.out[0];
        if (!same_algorithm(plan, plan.graph.nodes[i], node)) return false;
        changes.emplace_back(static_cast<NodeId>(i), std::move(node));
    }
    return !changes.empty();
}

// The gradients that read the dropout's. One that asks a ReLU's output where it was open may ask the dropped one as well.
bool change_gradients(const Plan& plan, const Node& dropout, const Node& gradient, const Node& pooling, Changes& changes) {
    const ValueId index = pooling.out[1];
    if (plan.graph.is_output(gradient.out[0])) return false;
    for (size_t i = 0; i < plan.graph.nodes.size(); ++i) {
        Node node = plan.graph.nodes[i];
        if (!reads(node, gradient.out[0])) continue;
        Dropout* inside = dropout_of(node);
        if (!inside) return false;
        *inside = std::get<Dropout>(gradient.attrs);
        std::replace(node.in.begin(), node.in.end(), gradient.out[0], gradient.in[0]);
        std::replace(node.in.begin(), node.in.end(), dropout.in[0], dropout.out[0]);
        if (node.op == OpKind::batchnorm_pool_grad_statistics && !reads(node, index)) node.in.push_back(index);
        if (!same_algorithm(plan, plan.graph.nodes[i], node)) return false;
        changes.emplace_back(static_cast<NodeId>(i), std::move(node));
    }
    return true;
}

}  // namespace

void fuse_dropout(Plan& plan) {
    if (!plan.options.fuse || plan.options.naive) return;
    std::vector<Node>& nodes = plan.graph.nodes;
    std::vector<bool> dead(nodes.size(), false);
    for (size_t i = 0; i < nodes.size(); ++i) {
        if (nodes[i].op != OpKind::dropout) continue;
        const uint32_t stream = std::get<Dropout>(nodes[i].attrs).stream;
        const auto gradient = std::find_if(nodes.begin(), nodes.end(), [&](const Node& node) {
            return node.op == OpKind::dropout_grad && std::get<Dropout>(node.attrs).stream == stream;
        });
        Changes changes;
        if (gradient == nodes.end() || !change_pooling(plan, nodes[i], *gradient, changes)) continue;
        const Node pooling = changes.front().second;
        if (!change_gradients(plan, nodes[i], *gradient, pooling, changes)) continue;
        for (auto& [id, node] : changes) nodes[static_cast<size_t>(id)] = std::move(node);
        dead[i] = dead[static_cast<size_t>(gradient - nodes.begin())] = true;
    }
    erase_nodes(plan.graph, dead);
}

}  // namespace xbench
