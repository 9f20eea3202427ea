// A convolution takes over the pass that follows it where its kernel can do both while the output is in the cache:
//   conv2d -> y; batchnorm_statistics of y       conv2d_statistics -> y, sums
//   conv2d -> y; max_pool2d of y, by nobody else read     conv2d_pool -> pooled y, index; y is never written
//   max_pool2d_grad or batchnorm_pool_grad_input -> dy, read by conv2d_wgrad alone     one node; dy is never written
// Runs when layouts are known, for it asks the registry: only where the optimised row that was chosen for the convolution
// has a row of the same name for both. A better algorithm without such a row (another one may fuse later) stays unfused.
// For the gradients any optimised row will do: they replace the slowest pass of all, which is bound by memory.
#include <algorithm>
#include <cstring>

#include "plan/passes.h"

namespace xbench {
namespace {

bool same_algorithm(const Plan& plan, const Node& alone, const Node& fused) {
    const Kernel *one = chosen(plan, alone), *both = chosen(plan, fused);
    return one && both && one != &reference(alone.op) && std::strcmp(one->name, both->name) == 0;
}

// The nodes that read a value.
std::vector<NodeId> readers_of(const Graph& graph, ValueId id) {
    std::vector<NodeId> readers;
    for (size_t i = 0; i < graph.nodes.size(); ++i)
        if (reads(graph.nodes[i], id)) readers.push_back(static_cast<NodeId>(i));
    return readers;
}

bool take_statistics(Plan& plan, Node& conv, std::vector<bool>& dead) {
    for (const NodeId id : readers_of(plan.graph, conv.out[0])) {
        const Node& statistics = plan.graph.node(id);
        if (statistics.op != OpKind::batchnorm_statistics) continue;
        Node fused = conv;
        fused.op = OpKind::conv2d_statistics;
        fused.in.resize(3, no_value);
        fused.in.push_back(statistics.in[1]);
        fused.out.push_back(statistics.out[0]);
        if (!same_algorithm(plan, conv, fused)) return false;
        conv = fused;
        dead[static_cast<size_t>(id)] = true;
        return true;
    }
    return false;
}

bool take_pool(Plan& plan, Node& conv, std::vector<bool>& dead) {
    const auto readers = readers_of(plan.graph, conv.out[0]);
    if (readers.size() != 1 || plan.graph.is_output(conv.out[0])) return false;
    const Node& pool = plan.graph.node(readers[0]);
    if (pool.op != OpKind::max_pool2d || !touching_windows(std::get<Pool2d>(pool.attrs))) return false;
    const auto& window = std::get<Pool2d>(pool.attrs);
    Node fused = conv;
    fused.op = OpKind::conv2d_pool;
    fused.attrs = Conv2dPool{std::get<Conv2d>(conv.attrs), window.r, window.s};
    fused.out = pool.out;
    if (!same_algorithm(plan, conv, fused)) return false;
    dead[static_cast<size_t>(readers[0])] = true;
    conv = fused;
    if (conv.out.size() == 1 || std::get<Conv2dPool>(conv.attrs).conv.activation != Activation::relu) return true;
    for (const NodeId id : readers_of(plan.graph, conv.out[1])) {  // a closed window's index says all that y would
        Node& grad = plan.graph.node(id);
        if (grad.op == OpKind::max_pool2d_grad) grad.in.resize(2);
    }
    return true;
}

// The gradient of a first layer's filters, whose dy nobody else reads.
void take_pool_gradient(Plan& plan, Node& wgrad, std::vector<bool>& dead) {
    const ValueId dy = wgrad.in[1];
    const auto made_by = std::find_if(plan.graph.nodes.begin(), plan.graph.nodes.end(), [&](const Node& node) {
        return std::find(node.out.begin(), node.out.end(), dy) != node.out.end();
    });
    if (made_by == plan.graph.nodes.end() || readers_of(plan.graph, dy).size() != 1 || plan.graph.is_output(dy)) return;
    const Node& before = *made_by;
    Node fused = wgrad;
    if (before.op == OpKind::max_pool2d_grad && before.in.size() == 2) {
        const auto& window = std::get<Pool2d>(before.attrs);
        if (!touching_windows(window)) return;
        fused.op = OpKind::conv2d_pool_wgrad;
        fused.attrs = Conv2dPool{std::get<Conv2d>(wgrad.attrs), window.r, window.s};
        fused.in = {wgrad.in[0], before.in[0], before.in[1]};
    } else if (before.op == OpKind::batchnorm_pool_grad_input) {
        fused.op = OpKind::conv2d_batchnorm_pool_wgrad;
        fused.attrs = Conv2dBatchNormPool{std::get<Conv2d>(wgrad.attrs), std::get<BatchNormPool>(before.attrs)};
        fused.in = before.in;
        fused.in.insert(fused.in.begin(), wgrad.in[0]);
    } else {
        return;
    }
    const Kernel *alone = chosen(plan, wgrad), *both = chosen(plan, fused);
    if (!alone || !both || alone == &reference(wgrad.op) || both == &reference(fused.op)) return;
    dead[static_cast<size_t>(made_by - plan.graph.nodes.begin())] = true;
    wgrad = fused;
}

// A kernel that is forced for conv2d is forced for what a convolution becomes, too.
void force_fused(std::vector<Choice>& forced) {
    for (size_t i = 0, given = forced.size(); i < given; ++i)
        if (forced[i].op == name_of(OpKind::conv2d))
            for (const OpKind op : {OpKind::conv2d_statistics, OpKind::conv2d_pool})
                forced.push_back({name_of(op), std::string(forced[i].kernel)});
}

}  // namespace

void fuse_convolutions(Plan& plan) {
    if (!plan.options.fuse || plan.options.naive) return;
    force_fused(plan.options.forced);
    Graph& graph = plan.graph;
    std::vector<bool> dead(graph.nodes.size(), false);
    for (Node& node : graph.nodes)
        if (node.op == OpKind::conv2d && !take_statistics(plan, node, dead)) take_pool(plan, node, dead);
    for (Node& node : graph.nodes)
        if (node.op == OpKind::conv2d_wgrad) take_pool_gradient(plan, node, dead);
    erase_nodes(graph, dead);
}

}  // namespace xbench
