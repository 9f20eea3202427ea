// Rewrites pairs of nodes into one where a kernel can do both in one pass over memory.
//   producer, relu            -> producer with activation relu   (conv2d, linear, batchnorm_apply, add)
//   relu_grad, batchnorm_grad -> batchnorm_grad with the mask read from y
//   max_pool_grad, relu_grad  -> max_pool_grad with the mask read from the pooled y
//   batchnorm_grad, relu_grad -> batchnorm_grad with the mask read from its own x
//   batchnorm_apply, max_pool -> one (fuse_pool.cpp), forward and backward
// Every fused node equals its unfused pair: tests/plan compares them.
#include <algorithm>

#include "kernels/op.h"
#include "plan/passes.h"

namespace xbench {

std::vector<int> count_uses(const Graph& graph) {
    std::vector<int> uses(graph.values.size(), 0);
    for (const Node& node : graph.nodes)
        for (const ValueId id : node.in)
            if (id != no_value) ++uses[static_cast<size_t>(id)];
    for (const Output& output : graph.outputs) ++uses[static_cast<size_t>(output.value)];
    return uses;
}

bool reads(const Node& node, ValueId id) { return std::find(node.in.begin(), node.in.end(), id) != node.in.end(); }

bool touching_windows(const Pool2d& a) {
    return a.r == a.stride_h && a.s == a.stride_w && a.pad_h == 0 && a.pad_w == 0 && a.r * a.s < closed_window;
}

void erase_nodes(Graph& graph, const std::vector<bool>& dead) {
    size_t kept = 0;
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        if (dead[i]) continue;
        if (kept != i) graph.nodes[kept] = std::move(graph.nodes[i]);
        ++kept;
    }
    graph.nodes.resize(kept);
}

namespace {

std::vector<NodeId> producers(const Graph& graph) {
    std::vector<NodeId> by(graph.values.size(), -1);
    for (size_t i = 0; i < graph.nodes.size(); ++i)
        for (const ValueId id : graph.nodes[i].out) by[static_cast<size_t>(id)] = static_cast<NodeId>(i);
    return by;
}

void fuse_forward_relu(Graph& graph, std::vector<bool>& dead) {
    const auto uses = count_uses(graph);
    const auto producer = producers(graph);
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        Node& relu = graph.nodes[i];
        if (relu.op != OpKind::relu || uses[static_cast<size_t>(relu.in[0])] != 1) continue;
        const NodeId before = producer[static_cast<size_t>(relu.in[0])];
        Activation* activation = before < 0 ? nullptr : activation_of(graph.node(before));
        if (!activation || *activation != Activation::none) continue;
        *activation = Activation::relu;
        graph.node(before).out[0] = relu.out[0];
        dead[i] = true;
    }
}

// A relu_grad right behind the node that made its dy disappears into that node, where the node can do it.
void fuse_into_producer(Graph& graph, std::vector<bool>& dead) {
    const auto uses = count_uses(graph);
    const auto producer = producers(graph);
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        const Node& relu = graph.nodes[i];
        if (relu.op != OpKind::relu_grad || dead[i] || uses[static_cast<size_t>(relu.in[0])] != 1) continue;
        const NodeId before_id = producer[static_cast<size_t>(relu.in[0])];
        if (before_id < 0) continue;
        Node& before = graph.node(before_id);
        if (before.op == OpKind::batchnorm_grad_input && before.in[0] == relu.in[1]) {
            std::get<BatchNorm>(before.attrs).input_activation = Activation::relu;
        } else if (before.op == OpKind::max_pool2d_grad && before.in.size() == 2) {
            const Node& pool = graph.node(producer[static_cast<size_t>(before.in[1])]);
            if (pool.in[0] != relu.in[1]) continue;
            before.in.push_back(pool.out[0]);
        } else {
            continue;
        }
        before.out[0] = relu.out[0];
        dead[i] = true;
    }
}

// A relu_grad whose result only batch normalisation reads disappears: the readers take (dy, y) instead.
void fuse_relu_gradient(Graph& graph, std::vector<bool>& dead) {
    const auto reads_dy = [](const Node& node) {
        return node.op == OpKind::batchnorm_grad_statistics || node.op == OpKind::batchnorm_grad_input;
    };
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        const Node relu = graph.nodes[i];
        if (relu.op != OpKind::relu_grad) continue;
        std::vector<Node*> readers;
        bool all_batchnorm = true;
        for (Node& node : graph.nodes) {
            if (std::find(node.in.begin(), node.in.end(), relu.out[0]) == node.in.end()) continue;
            readers.push_back(&node);
            all_batchnorm = all_batchnorm && reads_dy(node) && node.in[1] == relu.out[0];
        }
        if (readers.empty() || !all_batchnorm || graph.is_output(relu.out[0])) continue;
        for (Node* node : readers) {
            node->in[1] = relu.in[0];
            node->in.push_back(relu.in[1]);
            std::get<BatchNorm>(node->attrs).activation = Activation::relu;
        }
        dead[i] = true;
    }
}

}  // namespace

void fuse(Graph& graph) {
    std::vector<bool> dead(graph.nodes.size(), false);
    fuse_forward_relu(graph, dead);
    fuse_relu_gradient(graph, dead);
    fuse_into_producer(graph, dead);
    erase_nodes(graph, dead);
    dead.assign(graph.nodes.size(), false);
    fuse_batchnorm_pool(graph, dead);
    erase_nodes(graph, dead);
}

}  // namespace xbench
