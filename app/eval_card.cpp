// Cases are chosen, explained and drawn; the rest is handed on.
#include "app/eval_card.h"

#include <algorithm>

#include "app/commands.h"
#include "bench/draw/heat_overlay.h"
#include "bench/runs/model_card.h"
#include "eval/gradcam.h"
#include "parallel/train/explainer.h"

namespace xbench {
namespace {

constexpr int64_t least_side = 128;  // of a picture, in pixels

// Images, maps and captions of these cases.
std::vector<ExplainedCase> drawn(const CardRequest& request, const std::vector<EvaluatedCase>& cases) {
    const Dataset& dataset = request.dataset;
    std::vector<HeatQuestion> questions;
    for (const EvaluatedCase& one : cases) questions.push_back({request.predictions.samples[one.row], one.of_class});
    const std::vector<HeatMap> maps = explain(request.model.graph, request.model.weights, request.model.description, dataset,
                                              questions, request.layer, request.device);
    const DatasetInfo& info = dataset.info();
    std::vector<float> pixels(static_cast<size_t>(info.channels * info.height * info.width));
    std::vector<ExplainedCase> all;
    for (size_t i = 0; i < cases.size(); ++i) {
        const HeatMap& heat = maps[i];
        dataset.read(std::span(&heat.question.sample, 1), pixels.data());
        const ShownImage shown{pixels, info.channels, info.height, info.width};
        const int64_t factor = enlargement(shown, least_side);
        all.push_back({cases[i], dataset.ids()[static_cast<size_t>(heat.question.sample)], image_png(shown, factor),
                       overlay_png(shown, heat.map, heat.rows, heat.columns, factor),
                       *std::max_element(heat.map.begin(), heat.map.end()) == 0});
    }
    return all;
}

std::string layer_name(const Graph& graph, const std::string& layer) {
    return graph.value(gradcam_layer(graph, layer)).name;
}

}  // namespace

std::string model_card_of(const CardRequest& request) {
    const LoadedModel& model = request.model;
    const auto count = static_cast<size_t>(request.cases);
    const EvaluatedCases cases =
        choose_cases(request.predictions, model.description.class_names, request.evaluation.thresholds, count, count);
    ModelCard card{model.description,
                   model.graph,
                   request.evaluation,
                   summarise(request.records, request.set),
                   request.split,
                   request.dataset.digest(),
                   model.path,
                   weights_hash(model.weights),
                   version_text(),
                   find_card_sources(model.path, request.set),
                   request.subgroups,
                   {},
                   drawn(request, cases.right),
                   drawn(request, cases.wrong),
                   request.cases > 0 ? layer_name(model.graph, request.layer) : std::string()};
    for (const char* column : {"sex", "age", "view", "site"})
        if (request.records.meta.contains(column)) card.columns.emplace_back(column);
    return model_card_html(card);
}

}  // namespace xbench
