// history.csv of a training run. It grows by a line after each epoch, so that a run can be watched, and one that dies
// leaves its history.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "parallel/checkpoint/epoch_result.h"

namespace xbench {

std::string history_csv(std::span<const EpochResult> history);  // with the line of names
// One write of one line.
void append_history(const std::filesystem::path& file, const EpochResult& epoch);

}  // namespace xbench
