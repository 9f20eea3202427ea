// Reverse-mode differentiation of the graph: each forward node, last first, hands the gradients of its outputs to the rule
// of its operator (OpDef::grad), which appends nodes.
#include <algorithm>

#include "core/error.h"
#include "kernels/op.h"
#include "plan/passes.h"

namespace xbench {
namespace {

std::vector<bool> values_that_need_gradients(const Graph& graph) {
    std::vector<bool> needed(graph.values.size(), false);
    for (size_t id = 0; id < needed.size(); ++id)
        needed[id] = graph.values[id].role == Role::parameter && graph.values[id].trainable;
    const auto is_asked_for = [&](ValueId id) {
        return std::any_of(graph.outputs.begin(), graph.outputs.end(),
                           [id](const Output& output) { return output.value == id && output.wants_gradient; });
    };
    for (const Node& node : graph.nodes) {
        bool any = false;
        for (const ValueId id : node.in) any = any || (id != no_value && needed[static_cast<size_t>(id)]);
        for (const ValueId id : node.out)
            if (graph.value(id).role == Role::activation) needed[static_cast<size_t>(id)] = any || is_asked_for(id);
    }
    return needed;
}

// A pass may also start from gradients that are given: Grad-CAM's, of one logit.
void take_seeds(const Graph& graph, GradBuilder& builder) {
    for (const Output& output : graph.outputs)
        if (output.seed != no_value) builder.contribute(output.value, output.seed, output.name);
}

// The gradients of pinned values that somebody asked for become outputs, too.
void keep_gradients(Graph& graph, const GradBuilder& builder) {
    const std::vector<Output> outputs = graph.outputs;
    for (const Output& output : outputs) {
        if (!output.wants_gradient) continue;
        const ValueId gradient = builder.gradient(output.value);
        if (gradient == no_value)
            throw Error("no loss depends on " + output.name + " through something that is learned", "model " + graph.name,
                        "pin it without its gradient");
        graph.outputs.push_back({"d(" + output.name + ")", gradient});
    }
}

}  // namespace

std::vector<ValueId> differentiate(Graph& graph) {
    GradBuilder builder(graph, values_that_need_gradients(graph));
    take_seeds(graph, builder);
    for (size_t i = graph.nodes.size(); i-- > 0;) {
        const Node node = graph.nodes[i];  // a copy: rules append to the list
        const bool is_loss = graph.is_loss(node.out[0]);
        bool reached = is_loss, needed = false;
        for (const ValueId id : node.out) reached = reached || builder.gradient(id) != no_value;
        for (const ValueId id : node.in) needed = needed || builder.needed(id);
        if (!reached || !needed) continue;
        const auto rule = op_def(node.op).grad;
        if (!rule)
            throw Error(std::string(name_of(node.op)) + " has no gradient", "model " + graph.name + ", layer " + node.name);
        rule(builder, node);
    }
    keep_gradients(graph, builder);
    std::vector<ValueId> parameter_gradient(graph.values.size(), no_value);
    for (const ValueId id : graph.parameters) parameter_gradient[static_cast<size_t>(id)] = builder.gradient(id);
    return parameter_gradient;
}

}  // namespace xbench
