// Sums over ranks beside computing. In the backward pass a batch normalisation's two sums are wanted as soon as they are
// sent:
//
//   conv2d_wgrad, conv2d_dgrad, batchnorm_grad_statistics, all_reduce, batchnorm_grad_input
//
// Nobody waits for the gradient of the filter, so it is computed while the sums travel and the rank that is late comes:
//
//   conv2d_dgrad, batchnorm_grad_statistics, all_reduce, conv2d_wgrad, batchnorm_grad_input
#include <algorithm>

#include "kernels/op.h"
#include "plan/passes.h"

namespace xbench {
namespace {

// Its results are gradients of parameters alone, which no other node reads, and it takes long.
bool is_filter_gradient(const Graph& graph, const Node& node) {
    const auto is_gradient = [&](ValueId id) { return graph.value(id).role == Role::parameter_gradient; };
    return op_def(node.op).multiplies && std::all_of(node.out.begin(), node.out.end(), is_gradient);
}

}  // namespace

void delay_filter_gradients(Plan& plan) {
    if (!plan.options.hide_sums) return;
    std::vector<Node>& nodes = plan.graph.nodes;
    const auto last_sum =
        std::find_if(nodes.rbegin(), nodes.rend(), [](const Node& n) { return n.op == OpKind::all_reduce; });
    const auto last = static_cast<size_t>(nodes.rend() - last_sum);  // no sum behind it: nothing is gained
    std::vector<Node> order, waiting;
    for (size_t i = 0; i < nodes.size(); ++i) {
        const bool sums = nodes[i].op == OpKind::all_reduce;
        (i < last && is_filter_gradient(plan.graph, nodes[i]) ? waiting : order).push_back(std::move(nodes[i]));
        if (!sums) continue;
        std::move(waiting.begin(), waiting.end(), std::back_inserter(order));
        waiting.clear();
    }
    nodes = std::move(order);
}

void find_hidden_sums(Plan& plan) {
    if (!plan.options.hide_sums) return;
    const auto node_of = [&](size_t step) -> const Node& { return plan.graph.node(plan.steps[step].node); };
    for (size_t i = 0; i < plan.steps.size(); ++i) {
        if (plan.steps[i].kind != StepKind::all_reduce) continue;
        size_t reader = i + 1;
        const auto is_between = [&](size_t step) {
            return plan.steps[step].kind != StepKind::all_reduce && !reads(node_of(step), node_of(i).out[0]);
        };
        while (reader < plan.steps.size() && is_between(reader)) ++reader;
        // One sum at a time.
        if (reader == i + 1 || reader == plan.steps.size() || plan.steps[reader].kind == StepKind::all_reduce) continue;
        plan.steps[i].goes_on = plan.steps[reader].needs_sum = true;
    }
}

}  // namespace xbench
