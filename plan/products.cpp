// In what convolutions and linear layers compute their products. bf16 is what deep-learning libraries call autocast: the
// layers' operands are rounded for the products, sums, activations in memory, statistics, losses, weights and their
// gradients stay f32.
#include "plan/passes.h"

namespace xbench {

bool keeps_f32(const Graph& graph, const Node& node) {
    constexpr int64_t few_channels = 4;
    switch (node.op) {
        case OpKind::conv2d:
        case OpKind::conv2d_wgrad:
        case OpKind::conv2d_statistics:
        case OpKind::conv2d_pool:
        case OpKind::conv2d_pool_wgrad:
        case OpKind::conv2d_batchnorm_pool_wgrad: break;
        default: return false;
    }
    return node.in[0] == graph.input && graph.value(graph.input).shape[1] <= few_channels;
}

void choose_products(Graph& graph, DType products) {
    for (Node& node : graph.nodes) {
        if (keeps_f32(graph, node)) continue;
        if (node.op == OpKind::conv2d) std::get<Conv2d>(node.attrs).products = products;
        if (node.op == OpKind::linear) std::get<Linear>(node.attrs).products = products;
    }
}

}  // namespace xbench
