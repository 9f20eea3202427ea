// One call of each part of eval/, and their JSON under one roof.
#include "eval/evaluation.h"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "core/json_number.h"
#include "eval/one_against_rest.h"

namespace xbench {

Evaluation evaluate(const Predictions& predictions, const std::vector<std::string>& class_names,
                    const EvaluationOptions& options) {
    Evaluation result;
    result.metrics = compute_metrics(predictions, class_names);
    result.curves = make_curves(predictions, class_names);
    for (int64_t c = 0; c < predictions.classes; ++c) {
        const OneAgainstRest column = one_against_rest(predictions, c);
        result.areas.push_back(delong(column.scores, column.truth, options.bootstrap.level));
    }
    result.brier = brier_score(predictions);
    result.calibrations = calibrate(predictions, class_names);
    result.temperature = options.temperature;
    result.thresholds = options.thresholds;
    if (!options.thresholds.empty()) result.at_thresholds = scores_at(predictions, class_names, options.thresholds);
    result.bootstrap = bootstrap_scores(predictions, class_names, options.groups, options.bootstrap);
    return result;
}

Json to_json(const Evaluation& evaluation) {
    Json json = to_json(evaluation.metrics);
    json["curves"] = to_json(evaluation.curves);
    for (size_t c = 0; c < evaluation.curves.size(); ++c)
        json["curves"][evaluation.curves[c].name]["delong"] = to_json(evaluation.areas[c]);
    json["brier"] = number_or_null(evaluation.brier);
    json["calibration"] = to_json(evaluation.calibrations);
    json["temperature_of_val"] = nullptr;
    if (std::isfinite(evaluation.temperature)) json["temperature_of_val"] = evaluation.temperature;
    if (!evaluation.thresholds.empty()) json["at_thresholds"] = to_json(evaluation.at_thresholds, evaluation.thresholds);
    json["bootstrap"] = to_json(evaluation.bootstrap);
    return json;
}

std::string evaluation_report(const Evaluation& evaluation) {
    const Bootstrap& bootstrap = evaluation.bootstrap;
    std::string text = classification_report(evaluation.metrics);
    text += fmt::format("\n{:g}% intervals: {} replicates of a bootstrap over {} {}\n", 100 * bootstrap.options.level,
                        bootstrap.options.replicates, bootstrap.groups, bootstrap.by_patient ? "patients" : "images");
    size_t width = 0;
    for (const ScoreInterval& score : bootstrap.scores) width = std::max(width, score.name.size());
    for (const ScoreInterval& score : bootstrap.scores) {
        if (std::isnan(score.value) || std::isnan(score.interval.low)) {
            text += fmt::format("{:<{}}  undefined: images of one kind only\n", score.name, width);
            continue;
        }
        text += fmt::format("{:<{}}  {:.4f}  [{:.4f}, {:.4f}]{}\n", score.name, width, score.value, score.interval.low,
                            score.interval.high,
                            score.undefined > 0 ? fmt::format("  undefined in {} replicates", score.undefined) : "");
    }
    return text;
}

}  // namespace xbench
