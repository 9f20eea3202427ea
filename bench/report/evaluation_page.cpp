// The sections of results are the model card's own.
#include "bench/report/evaluation_page.h"

#include <fmt/format.h>

#include <cmath>

#include "bench/draw/html_page.h"
#include "bench/runs/model_card.h"
#include "core/files.h"
#include "core/json_member.h"

namespace xbench {
namespace {

EvaluationResults results_of(const EvaluationFiles& files) {
    return {files.evaluation, text_in(files.told, "split", "unnamed"), files.subgroups,
            "None were scored: the set has no column that divides these images."};
}

// What was found in several splits, of the set of the evaluation and of that of the training.
std::string leaks_text(const Json& told, const char* of) {
    const Json* const leaks = member(told, "leaks");
    return leaks != nullptr && leaks->is_object() ? text_in(*leaks, of, "not checked") : "not checked";
}

void add_origin(HtmlPage& page, const EvaluationFiles& files) {
    const Json& told = files.told;
    page.heading("What was evaluated");
    std::vector<std::pair<std::string, std::string>> facts{
        {"Model", text_in(told, "model")},
        // Folders of somebody's disk say nothing elsewhere.
        {"Checkpoint", std::filesystem::path(text_in(told, "checkpoint")).filename().string()},
        {"Weights", text_in(told, "weights_hash")},
        {"Set", std::filesystem::path(text_in(told, "data")).filename().string()},
        {"Digest of the set", text_in(told, "data_sha")},
        {"Images in several splits", leaks_text(told, "data")},
        {"The same of the set of the training", leaks_text(told, "training_data")}};
    if (std::isfinite(files.evaluation.metrics.loss))
        facts.emplace_back("Loss", fmt::format("{:.4f}", files.evaluation.metrics.loss));
    if (std::isfinite(files.evaluation.brier))
        facts.emplace_back("Brier score", fmt::format("{:.4f}", files.evaluation.brier));
    if (std::isfinite(files.evaluation.temperature))
        facts.emplace_back("Temperature fitted on the validation split",
                           fmt::format("{:.3f}", files.evaluation.temperature));
    page.facts(facts);
}

}  // namespace

std::string evaluation_verdict(const EvaluationFiles& files) {
    const Metrics& metrics = files.evaluation.metrics;
    return fmt::format("{} on the {} split: accuracy {} on {} images, always saying {} {:.3f}.",
                       text_in(files.told, "model", "The model"), text_in(files.told, "split", "unnamed"),
                       with_interval(files.evaluation.bootstrap, "accuracy"), metrics.count, metrics.majority_answer,
                       metrics.majority_baseline);
}

void add_evaluation(HtmlPage& page, const EvaluationFiles& files) {
    const EvaluationResults results = results_of(files);
    page.paragraph(evaluation_verdict(files));
    results_summary(results, page);
    if (files.has_card)
        page.link("model_card.html", "The model card", ": what the model is for and what not, its data, and single cases");
    results_section(results, page);
    add_origin(page, files);
    page.paragraph(
        "Beside this file lie metrics.json, predictions.csv and the points of the curves as CSV. This page is made again "
        "from them, byte for byte, by:");
    page.code("xbench report FOLDER");
}

std::string evaluation_page(const EvaluationFiles& files) {
    HtmlPage page(fmt::format("Evaluation of {}", text_in(files.told, "model", "a model")));
    add_evaluation(page, files);
    return page.text();
}

}  // namespace xbench
