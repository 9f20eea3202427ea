// Metrics as files: metrics.json, scikit-learn's report with the majority baseline below it, the confusion matrix as CSV.
#include <algorithm>

#include <fmt/core.h>

#include "data/import/csv.h"
#include "eval/metrics.h"

namespace xbench {
namespace {

Json json_of(const ClassScore& score) {
    return Json{{"precision", score.precision}, {"recall", score.recall}, {"f1", score.f1}, {"support", score.support}};
}

}  // namespace

Json to_json(const Metrics& metrics) {
    Json json;
    json["count"] = metrics.count;
    json["accuracy"] = metrics.accuracy;
    json["balanced_accuracy"] = metrics.balanced_accuracy;
    json["majority_baseline"] = metrics.majority_baseline;
    json["majority_answer"] = metrics.majority_answer;
    json["loss"] = metrics.loss;
    Json& per_class = json["per_class"] = Json::object();
    for (const ClassScore& one : metrics.per_class) per_class[one.name] = json_of(one);
    json["macro"] = json_of(metrics.macro);
    json["weighted"] = json_of(metrics.weighted);
    if (metrics.multilabel) {
        json["micro"] = json_of(metrics.micro);
        json["samples"] = json_of(metrics.samples);
    }
    json["confusion"] = metrics.confusion;
    return json;
}

std::string classification_report(const Metrics& metrics) {
    size_t width = std::string("weighted avg").size();
    for (const ClassScore& one : metrics.per_class) width = std::max(width, one.name.size());
    const auto row = [&](const ClassScore& s) {
        return fmt::format("{:>{}}  {:>9.2f} {:>9.2f} {:>9.2f} {:>9}\n", s.name, width, s.precision, s.recall, s.f1,
                           s.support);
    };
    std::string text =
        fmt::format("{:>{}}  {:>9} {:>9} {:>9} {:>9}\n\n", "", width, "precision", "recall", "f1-score", "support");
    for (const ClassScore& one : metrics.per_class) text += row(one);
    text += '\n';
    if (metrics.multilabel) {
        text += row(metrics.micro);
    } else {
        text +=
            fmt::format("{:>{}}  {:>9} {:>9} {:>9.2f} {:>9}\n", "accuracy", width, "", "", metrics.accuracy, metrics.count);
    }
    text += row(metrics.macro) + row(metrics.weighted);
    if (metrics.multilabel) text += row(metrics.samples);
    text += fmt::format("\nmajority baseline  {:.4f}   (always {})\nbalanced accuracy  {:.4f}\naccuracy           {:.4f}\n",
                        metrics.majority_baseline, metrics.majority_answer, metrics.balanced_accuracy, metrics.accuracy);
    return text + fmt::format("loss               {:.4f}\n", metrics.loss);
}

std::string confusion_csv(const Metrics& metrics, const std::vector<std::string>& class_names) {
    std::string text = "true\\predicted";
    for (const std::string& name : class_names) text += "," + csv_field(name);
    text += '\n';
    for (size_t c = 0; c < metrics.confusion.size(); ++c) {
        text += csv_field(class_names[c]);
        for (const int64_t count : metrics.confusion[c]) text += fmt::format(",{}", count);
        text += '\n';
    }
    return text;
}

}  // namespace xbench
