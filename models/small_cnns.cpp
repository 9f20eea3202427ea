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

LossKind loss_of(bool multilabel) { return multilabel ? LossKind::bce_with_logits : LossKind::softmax_cross_entropy; }

}  // namespace

Graph pneumonia_cnn(const ModelConfig& config) {
    GraphBuilder g("pneumonia_cnn");
    Sequence f;
    ValueId x = g.input(config.channels, config.size, config.size);
    for (const int64_t width : config.widths) {
        const std::string conv = f.next();
        g.begin_unit(conv);
        x = g.conv2d(x, conv, width, {.kernel = 3, .pad = 1});
        x = g.batchnorm(x, f.next(), batchnorm_options(config));
        x = g.relu(x, f.next());
        x = g.max_pool2d(x, f.next());
    }
    x = g.global_avg_pool(x, f.next());
    f.next();  // Flatten: the global pooling gives {n,c} already
    const std::string linear = f.next();
    g.begin_unit(linear);
    return g.finish(g.linear(x, linear, config.classes), loss_of(config.multilabel));
}

Graph fracture_cnn(const ModelConfig& config) {
    GraphBuilder g("fracture_cnn");
    Sequence f;
    ValueId x = g.input(config.channels, config.size, config.size);
    for (const int64_t width : config.widths) {
        const std::string conv = f.next();
        g.begin_unit(conv);
        x = g.conv2d(x, conv, width, {.kernel = 3});
        x = g.relu(x, f.next());
        x = g.max_pool2d(x, f.next());
    }
    x = g.flatten(x, f.next());
    const std::string hidden = f.next();
    g.begin_unit(hidden);
    x = g.linear(x, hidden, 128);
    x = g.relu(x, f.next());
    x = g.dropout(x, f.next(), dropout_or(config, 0.4));
    const std::string last = f.next();
    g.begin_unit(last);
    return g.finish(g.linear(x, last, config.classes), loss_of(config.multilabel));
}

Graph rsna_cnn(const ModelConfig& config) {
    GraphBuilder g("rsna_cnn");
    Sequence f;
    ValueId x = g.input(config.channels, config.size, config.size);
    for (const int64_t width : config.widths) {
        const std::string conv = f.next();
        g.begin_unit(conv);
        x = g.conv2d(x, conv, width, {.kernel = 3, .pad = 1});
        x = g.relu(x, f.next());
        x = g.max_pool2d(x, f.next());
    }
    x = g.dropout(x, f.next(), dropout_or(config, 0.25), true);
    x = g.flatten(x, f.next());
    const std::string hidden = f.next();
    g.begin_unit(hidden);
    x = g.linear(x, hidden, 128);
    x = g.relu(x, f.next());
    const std::string last = f.next();
    g.begin_unit(last);
    return g.finish(g.linear(x, last, config.classes), loss_of(config.multilabel));
}

Graph cifar_cnn(const ModelConfig& config) {
    GraphBuilder g("cifar_cnn");
    Sequence f;
    ValueId x = g.input(config.channels, config.size, config.size);
    for (const int64_t width : config.widths) {
        for (int repeat = 0; repeat < 2; ++repeat) {
            const std::string conv = f.next();
            g.begin_unit(conv);
            x = g.conv2d(x, conv, width, {.kernel = 3, .pad = 1});
            x = g.relu(x, f.next());
            x = g.batchnorm(x, f.next(), batchnorm_options(config));
        }
        x = g.max_pool2d(x, f.next());
        x = g.dropout(x, f.next(), dropout_or(config, 0.25));
    }
    x = g.flatten(x, f.next());
    const std::string hidden = f.next();
    g.begin_unit(hidden);
    x = g.linear(x, hidden, 128);
    x = g.relu(x, f.next());
    x = g.dropout(x, f.next(), dropout_or(config, 0.5));
    const std::string last = f.next();
    g.begin_unit(last);
    return g.finish(g.linear(x, last, config.classes), loss_of(config.multilabel));
}

Graph nih_cnn(const ModelConfig& config) {
    GraphBuilder g("nih_cnn");
    Sequence f;
    ValueId x = g.input(config.channels, config.size, config.size);
    for (size_t block = 0; block < config.widths.size(); ++block) {
        const std::string conv = f.next();
        g.begin_unit(conv);
        const bool last = block + 1 == config.widths.size();
        x = g.conv2d(x, conv, config.widths[block], {.kernel = 3, .stride = last ? 2 : 1, .pad = 1});
        x = g.batchnorm(x, f.next(), batchnorm_options(config));
        x = g.relu(x, f.next());
        x = g.max_pool2d(x, f.next());
    }
    x = g.max_pool2d(x, f.next());
    x = g.flatten(x, f.next());
    const std::string hidden = f.next();
    g.begin_unit(hidden);
    x = g.linear(x, hidden, 512);
    x = g.relu(x, f.next());
    const std::string last = f.next();
    g.begin_unit(last);
    return g.finish(g.linear(x, last, config.classes), loss_of(config.multilabel));
}

}  // namespace xbench
