// Replaces what a model is written in by what kernels exist for.
//   training   batchnorm -> statistics, all_reduce, finalize, apply, or as in inference where it is frozen; a dropout of p =
//   0
//              disappears
//   inference  batchnorm -> inference, apply; dropout disappears; max-pooling keeps no index
#include "kernels/op.h"
#include "plan/passes.h"

namespace xbench {
namespace {

ValueId add_value(Graph& graph, Value value, const Value& like) {
    value.name = like.name;
    value.unit = like.unit;
    return graph.add(std::move(value));
}

Value statistic(int64_t channels, DType dtype) {
    Value value;
    value.shape = {2, channels};
    value.dtype = dtype;
    value.role = Role::statistic;
    return value;
}

void lower_batchnorm(Graph& graph, const Node& node, bool training, std::vector<Node>& nodes) {
    const ValueId x = node.in[0], gamma = node.in[1], beta = node.in[2], mean = node.in[3], var = node.in[4],
                  y = node.out[0];
    const Value like = graph.value(y);
    const int64_t channels = like.shape[1];
    const ValueId mean_rstd = add_value(graph, statistic(channels, DType::f32), like);
    if (training && !std::get<BatchNorm>(node.attrs).frozen) {
        const ValueId sums = add_value(graph, statistic(channels, DType::f64), like);
        const ValueId total = add_value(graph, statistic(channels, DType::f64), like);
        nodes.push_back({OpKind::batchnorm_statistics, node.attrs, {x, mean}, {sums}, node.name});
        nodes.push_back({OpKind::all_reduce, {}, {sums}, {total}, node.name});
        nodes.push_back({OpKind::batchnorm_finalize, node.attrs, {total, mean, var}, {mean_rstd, mean, var}, node.name});
    } else {
        nodes.push_back({OpKind::batchnorm_inference, node.attrs, {mean, var}, {mean_rstd}, node.name});
    }
    nodes.push_back({OpKind::batchnorm_apply, node.attrs, {x, mean_rstd, gamma, beta}, {y}, node.name});
}

}  // namespace

void lower(Graph& graph, bool training) {
    std::vector<Node> nodes;
    std::vector<ValueId> replaced(graph.values.size());  // a value that disappears -> the one that stands for it
    for (size_t id = 0; id < replaced.size(); ++id) replaced[id] = static_cast<ValueId>(id);
    for (Node node : graph.nodes) {
        for (ValueId& id : node.in)
            if (id != no_value) id = replaced[static_cast<size_t>(id)];
        if (node.op == OpKind::batchnorm) {
            lower_batchnorm(graph, node, training, nodes);
        } else if (node.op == OpKind::dropout && (!training || std::get<Dropout>(node.attrs).p == 0)) {
            replaced[static_cast<size_t>(node.out[0])] = node.in[0];
        } else {
            if (node.op == OpKind::max_pool2d && !training) node.out.resize(1);
            nodes.push_back(std::move(node));
        }
    }
    graph.nodes = std::move(nodes);
    for (Output& output : graph.outputs) output.value = replaced[static_cast<size_t>(output.value)];
}

}  // namespace xbench
