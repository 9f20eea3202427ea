// Counting classes of the training split.
#include "parallel/train/resolved_training.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "data/load/loader.h"
#include "models/registry.h"
#include "models/training_graph.h"

namespace xbench {
namespace {

struct Counted {
    std::vector<double> positive, negative;  // {classes}; of one label an image: it, and all other images
};

Counted count_classes(const Dataset& dataset) {
    const auto classes = static_cast<size_t>(dataset.info().classes());
    Counted counts{std::vector<double>(classes, 0), std::vector<double>(classes, 0)};
    for (const int64_t image : dataset.indices(Split::train))
        for (size_t k = 0; k < classes; ++k) {
            const auto at = static_cast<size_t>(image);
            const int label = dataset.info().multilabel ? dataset.targets()[at * classes + k]
                                                        : dataset.labels()[at] == static_cast<int32_t>(k);
            if (label != unknown_label) ++(label ? counts.positive : counts.negative)[k];
        }
    return counts;
}

[[noreturn]] void refuse_empty(const Dataset& dataset, size_t k, const char* what, const char* key) {
    throw UsageError(
        fmt::format("the training split of {} has no {} of {}", dataset.info().source, what, dataset.info().class_names[k]),
        key, "give numbers, or other splits");
}

std::vector<double> positive_weights(const std::string& rule, const Dataset& dataset) {
    if (!dataset.info().multilabel)
        throw UsageError("the images have one label each, which no positive weights apply to", "/train/pos_weight",
                         "leave it out, or give class_weights");
    const Counted counts = count_classes(dataset);
    std::vector<double> weights;
    for (size_t k = 0; k < counts.positive.size(); ++k) {
        if (counts.positive[k] == 0) refuse_empty(dataset, k, "positives", "/train/pos_weight");
        if (counts.negative[k] == 0) refuse_empty(dataset, k, "negatives", "/train/pos_weight");
        const double ratio = counts.negative[k] / counts.positive[k];
        weights.push_back(rule == "ratio" ? ratio : rule == "sqrt" ? std::sqrt(ratio) : std::log1p(ratio));
    }
    return weights;
}

// N / (K n_c)
std::vector<double> balanced_weights(const Dataset& dataset) {
    if (dataset.info().multilabel)
        throw UsageError("the images have several labels each, which are balanced by pos_weight", "/train/class_weights",
                         "set pos_weight to ratio, or give a number a class");
    const Counted counts = count_classes(dataset);
    const auto classes = static_cast<double>(counts.positive.size());
    const auto images = static_cast<double>(dataset.indices(Split::train).size());
    std::vector<double> weights;
    for (size_t k = 0; k < counts.positive.size(); ++k) {
        if (counts.positive[k] == 0) refuse_empty(dataset, k, "images", "/train/class_weights");
        weights.push_back(images / (classes * counts.positive[k]));
    }
    return weights;
}

void check_count(const std::vector<double>& weights, const Dataset& dataset) {
    if (weights.empty() || static_cast<int64_t>(weights.size()) == dataset.info().classes()) return;
    throw UsageError(fmt::format("{} numbers for {} classes", weights.size(), dataset.info().classes()),
                     "/train/class_weights", "give one number a class");
}

}  // namespace

TrainConfig resolve_weights(const TrainConfig& config, const Dataset& dataset) {
    TrainConfig resolved = config;
    if (!config.pos_weight_rule.empty()) resolved.pos_weight = positive_weights(config.pos_weight_rule, dataset);
    if (config.class_weight_rule == "balanced") resolved.class_weights = balanced_weights(dataset);
    check_count(resolved.class_weights, dataset);
    // Of several labels every image has the same weights, and their mean is a constant.
    std::vector<double>& weights = resolved.class_weights;
    if (dataset.info().multilabel && !weights.empty() && config.class_weight_mean == "weights") {
        const double mean = std::accumulate(weights.begin(), weights.end(), 0.0) / static_cast<double>(weights.size());
        for (double& weight : weights) weight /= mean;
    }
    if (dataset.info().multilabel) resolved.class_weight_mean = "images";
    return resolved;
}

LossDescription loss_of(const TrainConfig& resolved) {
    LossDescription loss;
    loss.focal = resolved.loss == "focal";
    loss.focal_gamma = resolved.focal_gamma;
    loss.focal_alpha = resolved.focal_alpha;
    loss.label_smoothing = resolved.label_smoothing;
    loss.class_weights = resolved.class_weights;
    loss.mean_of_weights = !resolved.class_weights.empty() && resolved.class_weight_mean == "weights";
    return loss;
}

void set_loss(Graph& graph, const LossDescription& loss) {
    if (loss.is_plain()) return;
    LossOptions options;
    options.attributes.smoothing = static_cast<float>(loss.label_smoothing);
    options.attributes.focal = loss.focal;
    options.attributes.gamma = static_cast<float>(loss.focal_gamma);
    options.attributes.alpha = static_cast<float>(loss.focal_alpha);
    options.class_weights = !loss.class_weights.empty();
    set_loss(graph, options);
}

Graph training_graph(const ModelConfig& model, const TrainConfig& resolved) {
    Graph graph = build_model(model);
    set_loss(graph, loss_of(resolved));
    if (!resolved.freeze.empty()) freeze(graph, resolved.freeze);
    return graph;
}

double loss_divisor(const LossDescription& loss, const Dataset& dataset, std::span<const int64_t> images) {
    return loss.mean_of_weights ? sum_of_weights(loss.class_weights, dataset, images) : static_cast<double>(images.size());
}

}  // namespace xbench
