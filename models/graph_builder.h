// Model files are written with this: each call appends one node to a forward graph.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/graph.h"

namespace xbench {

enum class LossKind { softmax_cross_entropy, bce_with_logits };

// Options of a convolution; zero-filled fields take PyTorch's defaults.
struct ConvOptions {
    int kernel = 3, stride = 1, pad = 0, dilation = 1, groups = 1;
    bool bias = true;
};
struct BatchNormOptions {
    float eps = 1e-5f, momentum = 0.1f;
};
struct PoolOptions {
    int kernel = 2, stride = 0 /* as kernel */, pad = 0;
    bool count_include_pad = true;
};

// Builds a forward graph. Each call appends one node, infers its shape (throws Error naming the layer) and returns its
// output. `name` is the layer's name in PyTorch's state dict ("f.0"); layers without parameters take theirs too.
class GraphBuilder {
public:
    // Weights begin as train.constants' library has them (model.initializer).
    explicit GraphBuilder(std::string model_name, std::string_view initializer = "pytorch");
    void begin_unit(std::string name);
    ValueId input(int64_t channels, int64_t height, int64_t width);
    ValueId conv2d(ValueId x, const std::string& name, int64_t out_channels, const ConvOptions& options = {});
    ValueId batchnorm(ValueId x, const std::string& name, const BatchNormOptions& options = {});
    ValueId relu(ValueId x, const std::string& name);
    ValueId gelu(ValueId x, const std::string& name);
    ValueId silu(ValueId x, const std::string& name);
    ValueId max_pool2d(ValueId x, const std::string& name, const PoolOptions& options = {});
    ValueId avg_pool2d(ValueId x, const std::string& name, const PoolOptions& options = {});
    ValueId global_avg_pool(ValueId x, const std::string& name);
    ValueId flatten(ValueId x, const std::string& name);
    ValueId linear(ValueId x, const std::string& name, int64_t out_features, bool bias = true);
    ValueId dropout(ValueId x, const std::string& name, float p, bool per_channel = false);
    ValueId add(ValueId a, ValueId b, const std::string& name);
    // The last call: softmax cross-entropy over class indices, or binary cross-entropy over each output.
    Graph finish(ValueId logits, LossKind loss);

    const Shape& shape(ValueId v) const { return graph_.value(v).shape; }

private:
    ValueId parameter(const std::string& name, Shape shape, Init init, Role role = Role::parameter);
    ValueId append(OpKind op, Attrs attrs, std::vector<ValueId> in, const std::string& name);
    Init weight_init(int64_t fan_in, int64_t fan_out) const;
    Init bias_init(int64_t fan_in) const;
    Graph graph_;
    bool glorot_;
};

}  // namespace xbench
