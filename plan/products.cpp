// In what convolutions and linear layers compute their products. bf16 is what deep-learning libraries call autocast: the
// layers' operands are rounded for the products, sums, activations in memory, statistics, losses, weights and their
// gradients stay f32.
#include "kernels/op.h"
#include "plan/passes.h"

namespace xbench {

bool keeps_f32(const Graph& graph, const Node& node) {
    constexpr int64_t few_channels = 4;
    if (!op_def(node.op).products) return false;
    return node.in[0] == graph.input && graph.value(graph.input).shape[1] <= few_channels;
}

void choose_products(Graph& graph, DType products) {
    for (Node& node : graph.nodes) {
        if (keeps_f32(graph, node)) continue;
        if (DType* const chosen = products_of(node)) *chosen = products;
    }
}

}  // namespace xbench
