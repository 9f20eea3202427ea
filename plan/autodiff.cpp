// Reverse-mode differentiation of the graph: each forward node, last first, hands the gradients of its outputs to the rule
// of its operator (OpDef::grad), which appends nodes.
#include "core/error.h"
#include "kernels/op.h"
#include "plan/passes.h"

namespace xbench {
namespace {

std::vector<bool> values_that_need_gradients(const Graph& graph) {
    std::vector<bool> needed(graph.values.size(), false);
    for (size_t id = 0; id < needed.size(); ++id)
        needed[id] = graph.values[id].role == Role::parameter && graph.values[id].trainable;
    for (const Node& node : graph.nodes) {
        bool any = false;
        for (const ValueId id : node.in) any = any || (id != no_value && needed[static_cast<size_t>(id)]);
        for (const ValueId id : node.out)
            if (graph.values[static_cast<size_t>(id)].role == Role::activation) needed[static_cast<size_t>(id)] = any;
    }
    return needed;
}

}  // namespace

std::vector<ValueId> differentiate(Graph& graph) {
    GradBuilder builder(graph, values_that_need_gradients(graph));
    for (size_t i = graph.nodes.size(); i-- > 0;) {
        const Node node = graph.nodes[i];  // a copy: rules append to the list
        const bool is_loss = node.out[0] == graph.loss;
        bool reached = is_loss, needed = false;
        for (const ValueId id : node.out) reached = reached || builder.gradient(id) != no_value;
        for (const ValueId id : node.in) needed = needed || builder.needed(id);
        if (!reached || !needed) continue;
        const auto rule = op_def(node.op).grad;
        if (!rule)
            throw Error(std::string(name_of(node.op)) + " has no gradient", "model " + graph.name + ", layer " + node.name);
        rule(builder, node);
    }
    std::vector<ValueId> parameter_gradient(graph.values.size(), no_value);
    for (const ValueId id : graph.parameters) parameter_gradient[static_cast<size_t>(id)] = builder.gradient(id);
    return parameter_gradient;
}

}  // namespace xbench
