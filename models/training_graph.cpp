// Changes of a forward graph.
#include "models/training_graph.h"

#include <fnmatch.h>

#include <algorithm>

#include "core/error.h"

namespace xbench {
namespace {

bool is_frozen(const Graph& graph, ValueId id) { return graph.value(id).role == Role::constant; }

// A batch normalisation's operands: x gamma beta running_mean running_var.
void freeze_normalisations(Graph& graph) {
    for (Node& node : graph.nodes) {
        if (node.op != OpKind::batchnorm || !is_frozen(graph, node.in[1]) || !is_frozen(graph, node.in[2])) continue;
        std::get<BatchNorm>(node.attrs).frozen = 1;
        Value zeros;
        zeros.name = zeros_of_frozen(node.name);
        zeros.shape = graph.value(node.in[3]).shape;
        zeros.role = Role::constant;
        zeros.unit = graph.value(node.in[3]).unit;
        zeros.init = {Init::Rule::constant, 0};
        graph.add(std::move(zeros));
    }
}

}  // namespace

bool fits_pattern(const std::string& name, const std::string& pattern) {
    return fnmatch(pattern.c_str(), name.c_str(), FNM_NOESCAPE) == 0;
}

void freeze(Graph& graph, const std::vector<std::string>& patterns) {
    std::vector<ValueId> left;
    std::vector<bool> used(patterns.size(), false);
    for (const ValueId id : graph.parameters) {
        Value& value = graph.value(id);
        for (size_t i = 0; i < patterns.size(); ++i)
            if (fits_pattern(value.name, patterns[i])) {
                used[i] = true;
                value.role = Role::constant;
                value.trainable = false;
            }
        if (value.role == Role::parameter) left.push_back(id);
    }
    for (size_t i = 0; i < patterns.size(); ++i)
        if (!used[i])
            throw UsageError("no parameter of " + graph.name + " has a name like " + patterns[i], "/train/freeze",
                             "`xbench models " + graph.name + "` lists them");
    if (left.empty())
        throw UsageError("all parameters of " + graph.name + " are frozen", "/train/freeze", "leave one to learn");
    graph.parameters = std::move(left);
    freeze_normalisations(graph);
}

void set_loss(Graph& graph, const LossOptions& options) {
    const auto loss =
        std::find_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) { return graph.is_loss(node.out[0]); });
    if (loss == graph.nodes.end()) throw Error("has no loss", "model " + graph.name);
    loss->attrs = options.attributes;
    if (!options.class_weights) return;
    Value weight;
    weight.name = "class_weight";
    weight.shape = {graph.value(graph.output("logits")).shape[1]};
    weight.role = Role::constant;
    weight.init = {Init::Rule::constant, 1};
    loss->in.push_back(graph.add(std::move(weight)));
}

}  // namespace xbench
