// The graph with its given gradients, and the arithmetic of the map.
#include "eval/gradcam.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/nearest.h"

namespace xbench {
namespace {

bool gives_images(const Graph& graph, const Node& node) {
    const Value& value = graph.value(node.out[0]);
    return value.role == Role::activation && value.shape.rank == 4;
}

std::string layers_of(const Graph& graph, std::vector<std::string>& names) {
    std::string text;
    for (const Node& node : graph.nodes) {
        if (!gives_images(graph, node)) continue;
        names.push_back(node.name);
        text += (text.empty() ? "" : ", ") + node.name + " (" + name_of(node.op) + ")";
    }
    return text;
}

// Two neighbours of a place in the small map, and the share of the second.
struct Between {
    size_t first, second;
    float share;
};

std::vector<Between> places(int64_t from, int64_t to) {
    std::vector<Between> all;
    const float scale = static_cast<float>(from) / static_cast<float>(to);
    for (int64_t i = 0; i < to; ++i) {
        const float at = std::max(0.0f, (static_cast<float>(i) + 0.5f) * scale - 0.5f);
        const auto first = std::min(static_cast<int64_t>(at), from - 1);
        all.push_back({static_cast<size_t>(first), static_cast<size_t>(std::min(first + 1, from - 1)),
                       at - static_cast<float>(first)});
    }
    return all;
}

}  // namespace

ValueId gradcam_layer(const Graph& model, const std::string& layer) {
    for (auto node = model.nodes.rbegin(); node != model.nodes.rend(); ++node) {
        const bool wanted = layer.empty() ? node->op == OpKind::conv2d : node->name == layer;
        if (wanted && gives_images(model, *node)) return node->out[0];
    }
    std::vector<std::string> names;
    const std::string all = layers_of(model, names), close = nearest(layer, names);
    if (layer.empty()) throw UsageError("has no convolution", "model " + model.name, "name a layer: " + all);
    throw UsageError(layer + " is no layer of " + model.name + " that gives images", "--layer",
                     (close.empty() ? std::string() : "did you mean " + close + "? ") + "There are " + all);
}

void make_gradcam_graph(Graph& model, ValueId layer) {
    const ValueId logits = model.output("logits");
    std::erase_if(model.nodes, [&](const Node& node) { return model.is_loss(node.out[0]); });
    for (Node& node : model.nodes)
        if (node.op == OpKind::dropout) std::get<Dropout>(node.attrs).p = 0;  // the planner leaves it out
    for (Value& value : model.values) value.trainable = false;
    Value given;
    given.name = "d(logits)";
    given.shape = model.value(logits).shape;
    given.role = Role::label;
    model.label = model.add(std::move(given));
    model.outputs = {{.name = "logits", .value = logits, .seed = model.label}};
    model.pin(layer, "layer", true);
}

std::vector<float> gradcam_map(std::span<const float> values, std::span<const float> gradients, int64_t channels) {
    const size_t pixels = values.size() / static_cast<size_t>(channels);
    std::vector<double> sums(pixels, 0.0);
    for (size_t k = 0; k < static_cast<size_t>(channels); ++k) {
        double weight = 0;
        for (size_t i = 0; i < pixels; ++i) weight += static_cast<double>(gradients[k * pixels + i]);
        weight /= static_cast<double>(pixels);
        for (size_t i = 0; i < pixels; ++i) sums[i] += weight * static_cast<double>(values[k * pixels + i]);
    }
    std::vector<float> map(pixels);
    std::transform(sums.begin(), sums.end(), map.begin(), [](double sum) { return static_cast<float>(std::max(0.0, sum)); });
    return map;
}

std::vector<float> enlarged(std::span<const float> map, int64_t rows, int64_t columns, int64_t to_rows, int64_t to_columns) {
    const auto width = static_cast<size_t>(columns);
    const std::vector<Between> down = places(rows, to_rows), across = places(columns, to_columns);
    std::vector<float> large;
    large.reserve(down.size() * across.size());
    for (const Between& y : down) {
        const float *upper = map.data() + y.first * width, *lower = map.data() + y.second * width;
        for (const Between& x : across) {
            const float above = upper[x.first] + x.share * (upper[x.second] - upper[x.first]);
            const float below = lower[x.first] + x.share * (lower[x.second] - lower[x.first]);
            large.push_back(above + y.share * (below - above));
        }
    }
    return large;
}

float divide_by_maximum(std::vector<float>& map) {
    const float most = map.empty() ? 0 : *std::max_element(map.begin(), map.end());
    if (!(most > 0)) return 0;
    for (float& value : map) value /= most;
    return most;
}

}  // namespace xbench
