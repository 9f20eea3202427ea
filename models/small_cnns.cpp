// Layers are named by their position in PyTorch's Sequential ("f.0", "f.1" ...), so that state dicts fit.
#include "models/small_cnns.h"

#include "core/error.h"
#include "models/graph_builder.h"

namespace xbench {
namespace {

// Hands out "f.0", "f.1" ...: every layer takes its number, whether it has parameters or not.
class Sequence {
public:
    std::string next() { return "f." + std::to_string(position_++); }

private:
    int position_ = 0;
};

float dropout_or(const ModelConfig& config, double own) {
    return static_cast<float>(config.dropout < 0 ? own : config.dropout);
}

BatchNormOptions batchnorm_options(const ModelConfig& config) {
    return {static_cast<float>(config.bn_eps), static_cast<float>(config.bn_momentum)};
}

// Layers with parameters start a unit of their own.
ValueId conv(GraphBuilder& g, Sequence& f, ValueId x, int64_t width, const ConvOptions& options) {
    const std::string name = f.next();
    g.begin_unit(name);
    return g.conv2d(x, name, width, options);
}

ValueId linear(GraphBuilder& g, Sequence& f, ValueId x, int64_t width) {
    const std::string name = f.next();
    g.begin_unit(name);
    return g.linear(x, name, width);
}

ValueId conv_relu_pool(GraphBuilder& g, Sequence& f, ValueId x, int64_t width, const ConvOptions& options) {
    x = conv(g, f, x, width, options);
    x = g.relu(x, f.next());
    return g.max_pool2d(x, f.next());
}

ValueId conv_norm_relu_pool(GraphBuilder& g, Sequence& f, ValueId x, int64_t width, const ConvOptions& options,
                            const BatchNormOptions& norm) {
    x = conv(g, f, x, width, options);
    x = g.batchnorm(x, f.next(), norm);
    x = g.relu(x, f.next());
    return g.max_pool2d(x, f.next());
}

ValueId linear_relu(GraphBuilder& g, Sequence& f, ValueId x, int64_t width) {
    x = linear(g, f, x, width);
    return g.relu(x, f.next());
}

// The last layer and the loss.
Graph classify(GraphBuilder& g, Sequence& f, ValueId x, const ModelConfig& config) {
    return g.finish(linear(g, f, x, config.classes),
                    config.multilabel ? LossKind::bce_with_logits : LossKind::softmax_cross_entropy);
}

}  // namespace

Graph pneumonia_cnn(const ModelConfig& config) {
    GraphBuilder g("pneumonia_cnn", config.initializer);
    Sequence f;
    ValueId x = g.input(config.channels, config.size, config.size);
    for (const int64_t width : config.widths)
        x = conv_norm_relu_pool(g, f, x, width, {.kernel = 3, .pad = 1}, batchnorm_options(config));
    x = g.global_avg_pool(x, f.next());
    f.next();  // Flatten: the global pooling gives {n,c} already
    return classify(g, f, x, config);
}

Graph fracture_cnn(const ModelConfig& config) {
    GraphBuilder g("fracture_cnn", config.initializer);
    Sequence f;
    ValueId x = g.input(config.channels, config.size, config.size);
    for (const int64_t width : config.widths) x = conv_relu_pool(g, f, x, width, {.kernel = 3});
    x = g.flatten(x, f.next());
    x = linear_relu(g, f, x, 128);
    x = g.dropout(x, f.next(), dropout_or(config, 0.4));
    return classify(g, f, x, config);
}

Graph rsna_cnn(const ModelConfig& config) {
    GraphBuilder g("rsna_cnn", config.initializer);
    Sequence f;
    ValueId x = g.input(config.channels, config.size, config.size);
    for (const int64_t width : config.widths) x = conv_relu_pool(g, f, x, width, {.kernel = 3, .pad = 1});
    x = g.dropout(x, f.next(), dropout_or(config, 0.25), true);
    x = g.flatten(x, f.next());
    x = linear_relu(g, f, x, 128);
    return classify(g, f, x, config);
}

Graph cifar_cnn(const ModelConfig& config) {
    GraphBuilder g("cifar_cnn", config.initializer);
    Sequence f;
    ValueId x = g.input(config.channels, config.size, config.size);
    for (const int64_t width : config.widths) {
        for (int repeat = 0; repeat < 2; ++repeat) {
            x = conv(g, f, x, width, {.kernel = 3, .pad = 1});
            x = g.relu(x, f.next());
            x = g.batchnorm(x, f.next(), batchnorm_options(config));
        }
        x = g.max_pool2d(x, f.next());
        x = g.dropout(x, f.next(), dropout_or(config, 0.25));
    }
    x = g.flatten(x, f.next());
    x = linear_relu(g, f, x, 128);
    x = g.dropout(x, f.next(), dropout_or(config, 0.5));
    return classify(g, f, x, config);
}

Graph nih_cnn(const ModelConfig& config) {
    GraphBuilder g("nih_cnn", config.initializer);
    Sequence f;
    ValueId x = g.input(config.channels, config.size, config.size);
    for (size_t block = 0; block < config.widths.size(); ++block) {
        const bool last = block + 1 == config.widths.size();
        x = conv_norm_relu_pool(g, f, x, config.widths[block], {.kernel = 3, .stride = last ? 2 : 1, .pad = 1},
                                batchnorm_options(config));
    }
    x = g.max_pool2d(x, f.next());
    x = g.flatten(x, f.next());
    x = linear_relu(g, f, x, 512);
    return classify(g, f, x, config);
}

}  // namespace xbench
