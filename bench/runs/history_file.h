// history.csv of a training run. It grows by a line after each epoch, so that a run can be watched, and one that dies
// leaves its history.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/json.h"
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
// The numbers by the names of their columns, a line that is no epoch left out; nothing where there is no file, or it is no
// such table.
std::vector<EpochResult> read_history(const std::filesystem::path& file);

// What a record keeps of it (counters.history), so that time to accuracy can be told from records alone: lists by epoch;
// seconds are those of training and validation from the start to the epoch's end.
Json history_json(std::span<const EpochResult> history);

}  // namespace xbench
