// Trainings that are run for their times alone (train.probe): what explains the times of others. They have no weights to
// keep, no scores and no checkpoints.
#pragma once

#include <string>

#include "core/config.h"

namespace xbench {

// steps: as it is. arrivals: its ranks wait for each other and move no data (parallel/comm/arrivals_only.h), and its batches
// are in memory. preloaded: its batches are in memory.
inline bool is_probe(const TrainConfig& config) { return config.probe != "none"; }
inline bool moves_no_data(const TrainConfig& config) { return config.probe == "arrivals"; }
inline bool is_preloaded(const TrainConfig& config) { return config.probe == "arrivals" || config.probe == "preloaded"; }

}  // namespace xbench
