// The folder of one training, read again: its record where it has ended, and the files beside it. A training that is
// running, or was stopped, has a configuration and a history.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bench/base/record.h"
#include "core/config.h"
#include "parallel/checkpoint/epoch_result.h"

namespace xbench {

struct TrainingFiles {
    Config config;
    Json environment = Json::object(), metrics = Json::object();
    std::optional<Record> record;  // none: it has not ended
    std::vector<EpochResult> history;
    std::vector<std::vector<std::string>> confusion;  // confusion_matrix.csv, its header first
    std::string summary, classification;              // model_summary.txt, classification_report.txt
    bool has_trace = false;                           // trace.json
};

// Whether the folder was left by `xbench train` and not by a sweep.
bool is_training(const std::filesystem::path& folder);
TrainingFiles read_training(const std::filesystem::path& folder);

}  // namespace xbench
