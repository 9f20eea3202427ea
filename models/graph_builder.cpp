// Appends nodes to a forward graph; parameters start as in PyTorch.
#include "models/graph_builder.h"

#include <cmath>

#include "core/error.h"
#include "kernels/op.h"

namespace xbench {
namespace {

// Keras' default for both: U(-a, a), a = sqrt(6 / (fan_in + fan_out)).
Init glorot_uniform(int64_t fan_in, int64_t fan_out) {
    return {Init::Rule::uniform, std::sqrt(6.0 / static_cast<double>(fan_in + fan_out))};
}

// PyTorch's default for Conv2d and Linear: kaiming_uniform(a = sqrt 5) is U(-1/sqrt(fan_in), 1/sqrt(fan_in)), the bias too.
Init pytorch_uniform(int64_t fan_in) { return {Init::Rule::uniform, 1.0 / std::sqrt(static_cast<double>(fan_in))}; }

}  // namespace

GraphBuilder::GraphBuilder(std::string model_name, std::string_view initializer) : glorot_(initializer == "glorot_uniform") {
    graph_.name = std::move(model_name);
}

Init GraphBuilder::weight_init(int64_t fan_in, int64_t fan_out) const {
    return glorot_ ? glorot_uniform(fan_in, fan_out) : pytorch_uniform(fan_in);
}

Init GraphBuilder::bias_init(int64_t fan_in) const {
    return glorot_ ? Init{Init::Rule::constant, 0} : pytorch_uniform(fan_in);
}

void GraphBuilder::begin_unit(std::string name) { graph_.units.push_back(std::move(name)); }

ValueId GraphBuilder::input(int64_t channels, int64_t height, int64_t width) {
    Value value;
    value.name = "input";
    value.shape = {1, channels, height, width};
    value.role = Role::input;
    return graph_.input = graph_.add(std::move(value));
}

ValueId GraphBuilder::parameter(const std::string& name, Shape shape, Init init, Role role) {
    Value value;
    value.name = name;
    value.shape = shape;
    value.role = role;
    value.init = init;
    value.unit = std::max(0, static_cast<int>(graph_.units.size()) - 1);
    const ValueId id = graph_.add(std::move(value));
    if (role == Role::parameter) graph_.parameters.push_back(id);
    if (role != Role::constant) graph_.state.push_back(id);
    return id;
}

ValueId GraphBuilder::append(OpKind op, Attrs attrs, std::vector<ValueId> in, const std::string& name) {
    std::vector<const Value*> operands;
    for (const ValueId id : in) operands.push_back(&graph_.value(id));
    std::vector<Value> outputs;
    try {
        outputs = op_def(op).infer(attrs, operands);
    } catch (const Error& error) {
        throw Error(error.what(), "model " + graph_.name + ", layer " + name + " (" + name_of(op) + ")");
    }
    Node node{op, std::move(attrs), std::move(in), {}, name};
    for (Value& value : outputs) {
        value.name = name;
        value.unit = std::max(0, static_cast<int>(graph_.units.size()) - 1);
        node.out.push_back(graph_.add(std::move(value)));
    }
    graph_.nodes.push_back(std::move(node));
    return graph_.nodes.back().out[0];
}

ValueId GraphBuilder::conv2d(ValueId x, const std::string& name, int64_t out_channels, const ConvOptions& o) {
    const int64_t channels = shape(x)[1];
    if (o.groups < 1 || channels % o.groups != 0)
        throw Error(std::to_string(channels) + " channels cannot be cut into " + std::to_string(o.groups) + " groups", name);
    const int64_t fan_in = channels / o.groups * o.kernel * o.kernel;
    const Init init = weight_init(fan_in, out_channels / o.groups * o.kernel * o.kernel);
    std::vector<ValueId> in{x, parameter(name + ".weight", {out_channels, channels / o.groups, o.kernel, o.kernel}, init)};
    if (o.bias) in.push_back(parameter(name + ".bias", {out_channels}, bias_init(fan_in)));
    const Conv2d attrs{o.kernel, o.kernel,   o.stride,   o.stride, o.pad,
                       o.pad,    o.dilation, o.dilation, o.groups, Activation::none};
    return append(OpKind::conv2d, attrs, std::move(in), name);
}

ValueId GraphBuilder::batchnorm(ValueId x, const std::string& name, const BatchNormOptions& o) {
    const Shape channels{shape(x)[1]};
    const ValueId gamma = parameter(name + ".weight", channels, {Init::Rule::constant, 1});
    const ValueId beta = parameter(name + ".bias", channels, {Init::Rule::constant, 0});
    const ValueId mean = parameter(name + ".running_mean", channels, {Init::Rule::constant, 0}, Role::buffer);
    const ValueId var = parameter(name + ".running_var", channels, {Init::Rule::constant, 1}, Role::buffer);
    const BatchNorm attrs{o.eps, o.momentum, Activation::none, shape(x)[2] * shape(x)[3], Activation::none};
    return append(OpKind::batchnorm, attrs, {x, gamma, beta, mean, var}, name);
}

ValueId GraphBuilder::relu(ValueId x, const std::string& name) {
    return append(OpKind::relu, Elementwise{Activation::none}, {x}, name);
}

ValueId GraphBuilder::gelu(ValueId x, const std::string& name) { return append(OpKind::gelu, {}, {x}, name); }

ValueId GraphBuilder::silu(ValueId x, const std::string& name) { return append(OpKind::silu, {}, {x}, name); }

namespace {
Pool2d pool_attrs(const PoolOptions& o) {
    const int stride = o.stride ? o.stride : o.kernel;
    return {o.kernel, o.kernel, stride, stride, o.pad, o.pad, o.count_include_pad};
}
}  // namespace

ValueId GraphBuilder::max_pool2d(ValueId x, const std::string& name, const PoolOptions& options) {
    return append(OpKind::max_pool2d, pool_attrs(options), {x}, name);
}

ValueId GraphBuilder::avg_pool2d(ValueId x, const std::string& name, const PoolOptions& options) {
    return append(OpKind::avg_pool2d, pool_attrs(options), {x}, name);
}

ValueId GraphBuilder::global_avg_pool(ValueId x, const std::string& name) {
    return append(OpKind::global_avg_pool, Elementwise{Activation::none}, {x}, name);
}

ValueId GraphBuilder::flatten(ValueId x, const std::string& name) {
    return append(OpKind::flatten, Elementwise{Activation::none}, {x}, name);
}

ValueId GraphBuilder::linear(ValueId x, const std::string& name, int64_t out_features, bool bias) {
    const int64_t features = shape(x)[1];
    std::vector<ValueId> in{x, parameter(name + ".weight", {out_features, features}, weight_init(features, out_features))};
    if (bias) in.push_back(parameter(name + ".bias", {out_features}, bias_init(features)));
    return append(OpKind::linear, Linear{Activation::none}, std::move(in), name);
}

ValueId GraphBuilder::dropout(ValueId x, const std::string& name, float p, bool per_channel) {
    const auto stream = static_cast<uint32_t>(graph_.nodes.size());
    return append(OpKind::dropout, Dropout{p, per_channel, stream}, {x}, name);
}

ValueId GraphBuilder::add(ValueId a, ValueId b, const std::string& name) {
    return append(OpKind::add, Elementwise{Activation::none}, {a, b}, name);
}

Graph GraphBuilder::finish(ValueId logits, LossKind loss) {
    const int64_t classes = shape(logits)[1];
    const bool multilabel = loss == LossKind::bce_with_logits;
    Value label;
    label.name = "label";
    label.role = Role::label;
    label.shape = multilabel ? Shape{1, classes} : Shape{1};
    label.dtype = multilabel ? DType::f32 : DType::i32;
    graph_.label = graph_.add(std::move(label));
    std::vector<ValueId> in{logits, graph_.label};
    if (multilabel) in.push_back(parameter("pos_weight", {classes}, {Init::Rule::constant, 1}, Role::constant));
    append(multilabel ? OpKind::bce_with_logits : OpKind::softmax_cross_entropy, Loss{}, std::move(in), "loss");
    const std::vector<ValueId>& out = graph_.nodes.back().out;
    graph_.outputs.push_back({"logits", logits});
    graph_.outputs.push_back({"loss", out[0], true});
    graph_.outputs.push_back({"probabilities", out[1]});
    if (graph_.units.empty()) graph_.units.push_back("all");
    return std::move(graph_);
}

}  // namespace xbench
