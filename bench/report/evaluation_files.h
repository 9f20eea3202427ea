// The folder of one evaluation, read again: metrics.json, and the points of the curves in its CSV files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"
#include "eval/evaluation.h"
#include "eval/subgroups.h"

namespace xbench {

struct EvaluationFiles {
    Evaluation evaluation;
    std::vector<Subgroup> subgroups;
    Json told = Json::object();  // metrics.json as it is: model, checkpoint, data, leaks
    bool has_card = false;       // model_card.html lies beside it
};

// Whether the folder was left by `xbench eval` and not by a training, whose metrics.json is another one.
bool is_evaluation(const std::filesystem::path& folder);
// What a file does not hold is left out. Throws UsageError where metrics.json is none.
EvaluationFiles read_evaluation(const std::filesystem::path& folder);

}  // namespace xbench
