// history.csv of a training run. It grows by a line after each epoch, so that a run can be watched, and one that dies
// leaves its history.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "core/config.h"
#include "parallel/checkpoint/epoch_result.h"

namespace xbench {

// Columns at the end that only some runs have.
struct HistoryColumns {
    bool chunks = false, norms = false, scaling = false;
};
HistoryColumns history_columns(const TrainConfig& config);

std::string history_csv(std::span<const EpochResult> history, const HistoryColumns& columns = {});  // with the line of names
// One write of one line.
void append_history(const std::filesystem::path& file, const EpochResult& epoch, const HistoryColumns& columns = {});

}  // namespace xbench
