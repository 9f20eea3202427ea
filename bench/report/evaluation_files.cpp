// Every file may be another version's, or missing. What stands there in figures is read, and nothing is computed again.
#include "bench/report/evaluation_files.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "core/error.h"
#include "core/files.h"
#include "core/json_member.h"
#include "data/import/csv.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

double number_or_nan(const Json& object, const char* key) { return number_in(object, key).value_or(undefined); }

// An object that may not be there.
const Json& part(const Json& object, const std::string& key) {
    static const Json nothing = Json::object();
    const Json* const found = member(object, key.c_str());
    return found != nullptr && found->is_object() ? *found : nothing;
}

ClassScore class_score(const std::string& name, const Json& json) {
    return {name, integer_in(json, "support").value_or(0), number_or_nan(json, "precision"), number_or_nan(json, "recall"),
            number_or_nan(json, "f1")};
}

std::vector<ClassScore> class_scores(const Json& classes) {
    std::vector<ClassScore> scores;
    for (const auto& [name, one] : classes.items()) scores.push_back(class_score(name, one));
    return scores;
}

std::vector<std::vector<int64_t>> counts(const Json* rows, size_t classes) {
    std::vector<std::vector<int64_t>> matrix;
    if (rows == nullptr || !rows->is_array() || rows->size() != classes) return matrix;
    for (const Json& row : *rows) {
        if (!row.is_array() || row.size() != classes) return {};
        std::vector<int64_t>& line = matrix.emplace_back();
        for (const Json& count : row) line.push_back(count.is_number_integer() ? count.get<int64_t>() : 0);
    }
    return matrix;
}

Metrics metrics_from(const Json& json) {
    Metrics metrics;
    metrics.count = integer_in(json, "count").value_or(0);
    metrics.multilabel = json.contains("micro");
    metrics.accuracy = number_or_nan(json, "accuracy");
    metrics.balanced_accuracy = number_or_nan(json, "balanced_accuracy");
    metrics.majority_baseline = number_or_nan(json, "majority_baseline");
    metrics.loss = number_or_nan(json, "loss");
    metrics.majority_answer = text_in(json, "majority_answer");
    metrics.per_class = class_scores(part(json, "per_class"));
    metrics.confusion = counts(member(json, "confusion"), metrics.per_class.size());
    return metrics;
}

ScoreInterval score_interval(const std::string& name, const Json& json) {
    ScoreInterval score{name, number_or_nan(json, "value"), {}, integer_in(json, "undefined").value_or(0)};
    const Json* const interval = member(json, "interval");
    if (interval != nullptr && interval->is_array() && interval->size() == 2 && interval->at(0).is_number() &&
        interval->at(1).is_number())
        score.interval = {interval->at(0).get<double>(), interval->at(1).get<double>()};
    return score;
}

Bootstrap bootstrap_from(const Json& json) {
    Bootstrap bootstrap;
    bootstrap.options.replicates = integer_in(json, "replicates").value_or(0);
    bootstrap.options.seed = static_cast<uint64_t>(integer_in(json, "seed").value_or(0));
    bootstrap.options.level = number_in(json, "level").value_or(0.95);
    bootstrap.groups = integer_in(json, "groups").value_or(0);
    bootstrap.by_patient = text_in(json, "method").ends_with("patients");
    for (const auto& [name, score] : part(json, "scores").items()) bootstrap.scores.push_back(score_interval(name, score));
    return bootstrap;
}

std::vector<Subgroup> subgroups_from(const Json& columns) {
    std::vector<Subgroup> groups;
    for (const auto& [column, values] : columns.items())
        for (const auto& [value, scores] : values.items()) {
            Subgroup group{column, value, integer_in(scores, "images").value_or(0), {}};
            for (const auto& [name, score] : scores.items())
                if (score.is_object()) group.scores.scores.push_back(score_interval(name, score));
            groups.push_back(std::move(group));
        }
    return groups;
}

std::vector<Calibration> calibrations_from(const Json& json) {
    std::vector<Calibration> all;
    for (const auto& [name, one] : json.items()) {
        Calibration& calibration = all.emplace_back();
        calibration.name = name;
        calibration.count = integer_in(one, "images").value_or(0);
        calibration.ece = number_or_nan(one, "ece_15_equal_bins");
        calibration.mce = number_or_nan(one, "mce");
        calibration.ece_equal_mass = number_or_nan(one, "ece_equal_mass");
        calibration.brier = number_or_nan(one, "brier");
        calibration.intercept = number_or_nan(one, "intercept");
        calibration.slope = number_or_nan(one, "slope");
    }
    return all;
}

// Calls `work` with each row's class, word and three last numbers, where the file is there and is such a table.
template <class F>
void for_each_row(const fs::path& file, const std::vector<std::string>& header, F&& work) {
    const auto text = file_text(file);
    if (!text) return;
    const CsvTable table = parse_csv(*text, file.string());
    if (table.header != header) return;
    for (const std::vector<std::string>& row : table.rows) {
        std::vector<double> numbers;
        for (size_t i = 1; i < row.size(); ++i) numbers.push_back(std::strtod(row[i].c_str(), nullptr));
        work(row, numbers);
    }
}

template <class T>
T* named(std::vector<T>& all, const std::string& name) {
    const auto found = std::find_if(all.begin(), all.end(), [&](const T& one) { return one.name == name; });
    return found == all.end() ? nullptr : &*found;
}

// Areas from metrics.json; points from the files, which hold each threshold in the same order.
std::vector<Curve> curves_from(const fs::path& folder, const Json& areas, const Metrics& metrics) {
    std::vector<Curve> curves;
    for (const auto& [name, one] : areas.items()) {
        Curve& curve = curves.emplace_back();
        curve.name = name;
        curve.roc_auc = number_or_nan(one, "roc_auc");
        curve.average_precision = number_or_nan(one, "average_precision");
        for (const ClassScore& score : metrics.per_class)
            if (score.name == name) curve.positive = score.support;
        curve.negative = number_in(one, "roc_auc") ? std::max<int64_t>(1, metrics.count - curve.positive) : 0;
    }
    for_each_row(folder / "roc.csv", {"class", "threshold", "false_positive_rate", "true_positive_rate"},
                 [&](const std::vector<std::string>& row, const std::vector<double>& numbers) {
                     Curve* const curve = named(curves, row[0]);
                     if (curve != nullptr && row[1] != "inf")
                         curve->points.push_back({numbers[0], numbers[1], numbers[2], 0});
                 });
    std::vector<size_t> seen(curves.size());
    for_each_row(folder / "pr.csv", {"class", "threshold", "recall", "precision"},
                 [&](const std::vector<std::string>& row, const std::vector<double>& numbers) {
                     Curve* const curve = named(curves, row[0]);
                     if (curve == nullptr) return;
                     size_t& at = seen[static_cast<size_t>(curve - curves.data())];
                     if (at < curve->points.size()) curve->points[at++].precision = numbers[2];
                 });
    return curves;
}

void add_bins(const fs::path& folder, std::vector<Calibration>& calibrations) {
    for_each_row(folder / "calibration.csv", {"class", "bins", "low", "high", "count", "confidence", "outcome"},
                 [&](const std::vector<std::string>& row, const std::vector<double>& numbers) {
                     Calibration* const one = named(calibrations, row[0]);
                     if (one == nullptr) return;
                     (row[1] == "equal mass" ? one->equal_mass : one->equal_width)
                         .push_back({numbers[1], numbers[2], static_cast<int64_t>(numbers[3]), numbers[4], numbers[5]});
                 });
}

}  // namespace

bool is_evaluation(const fs::path& folder) {
    return is_folder(folder) && !path_exists(folder / "config.resolved.json") && path_exists(folder / "metrics.json") &&
           (path_exists(folder / "predictions.csv") || path_exists(folder / "model_card.html"));
}

EvaluationFiles read_evaluation(const fs::path& folder) {
    EvaluationFiles files;
    const fs::path place = folder / "metrics.json";
    const auto json = parse_json(file_text(place).value_or(""));
    if (!json || !json->is_object() || !member(*json, "bootstrap"))
        throw UsageError("is not what `xbench eval` writes", place.string(), "run `xbench eval` again into this folder");
    files.told = *json;
    Evaluation& evaluation = files.evaluation;
    evaluation.metrics = metrics_from(*json);
    evaluation.curves = curves_from(folder, part(*json, "curves"), evaluation.metrics);
    evaluation.brier = number_or_nan(*json, "brier");
    evaluation.temperature = number_or_nan(*json, "temperature_of_val");
    evaluation.calibrations = calibrations_from(part(*json, "calibration"));
    add_bins(folder, evaluation.calibrations);
    const Json& chosen = part(part(*json, "at_thresholds"), "classes");
    evaluation.at_thresholds = class_scores(chosen);
    for (const auto& [name, one] : chosen.items()) evaluation.thresholds.push_back(number_or_nan(one, "threshold"));
    evaluation.bootstrap = bootstrap_from(part(*json, "bootstrap"));
    files.subgroups = subgroups_from(part(*json, "subgroups"));
    files.has_card = path_exists(folder / "model_card.html");
    return files;
}

}  // namespace xbench
