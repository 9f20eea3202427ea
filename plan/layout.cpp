// Which memory layout the images between layers have: one for the whole plan, so that nothing is converted on the way.
//   plain    the vector runs along the width: models with few channels, where blocks of 16 would be partly padding
//   nchw16c  the vector runs along the channels: everything wider
// Never by batch or threads: another layout is another order of summation.
#include <algorithm>

#include "plan/passes.h"

namespace xbench {
namespace {

// Measured: where a layer has fewer channels than a block and none has many, the width gives fuller vectors.
constexpr int64_t few_channels = 16, many_channels = 48;
constexpr int64_t most_stem_channels = 4;  // a convolution of so few reads plain images and writes blocked ones

bool spatial(const Value& value) {
    return value.shape.rank == 4 && (value.role == Role::activation || value.role == Role::gradient);
}

Layout layout_of_plan(const Plan& plan) {
    if (plan.options.naive) return Layout::plain;
    int64_t fewest = many_channels, most = 0;
    for (const Value& value : plan.graph.values) {
        if (!spatial(value)) continue;
        fewest = std::min(fewest, value.shape[1]);
        most = std::max(most, value.shape[1]);
    }
    for (const Node& node : plan.graph.nodes)  // groups have vector kernels over plain images only
        if (node.op == OpKind::conv2d && std::get<Conv2d>(node.attrs).groups != 1) return Layout::plain;
    return fewest < few_channels && most < many_channels ? Layout::plain : Layout::nchw16c;
}

bool reads_plain_input(const Graph& graph, const Node& node) {
    const bool convolution = node.op == OpKind::conv2d || node.op == OpKind::conv2d_wgrad;
    const bool grouped = convolution && std::get<Conv2d>(node.attrs).groups != 1;
    return convolution && !grouped && graph.values[static_cast<size_t>(graph.input)].shape[1] <= most_stem_channels;
}

// Some operator cannot read the plain images: a blocked copy of them comes first.
void reorder_input(Plan& plan) {
    Graph& graph = plan.graph;
    std::vector<Node*> readers;
    for (Node& node : graph.nodes)
        if (std::count(node.in.begin(), node.in.end(), graph.input) && node.op != OpKind::flatten &&
            !reads_plain_input(graph, node))
            readers.push_back(&node);
    if (readers.empty()) return;
    Value blocked = graph.values[static_cast<size_t>(graph.input)];
    blocked.name = "input (blocked)";
    blocked.role = Role::activation;
    graph.values.push_back(std::move(blocked));
    plan.values.push_back({});
    plan.values.back().layout = Layout::nchw16c;
    const auto copy = static_cast<ValueId>(graph.values.size() - 1);
    for (Node* node : readers) std::replace(node->in.begin(), node->in.end(), graph.input, copy);
    graph.nodes.insert(graph.nodes.begin(),
                       {OpKind::reorder, Elementwise{Activation::none}, {graph.input}, {copy}, "input"});
}

}  // namespace

void choose_layouts(Plan& plan) {
    plan.values.resize(plan.graph.values.size());
    const Layout layout = layout_of_plan(plan);
    for (size_t id = 0; id < plan.values.size(); ++id)
        plan.values[id].layout = spatial(plan.graph.values[id]) ? layout : Layout::plain;
    if (layout == Layout::nchw16c) reorder_input(plan);
}

}  // namespace xbench
