// The learning rate of each step: that of the configuration, scaled to the batch by the chosen rule, after a warm-up, along
// its schedule. A closed form of the step and, for plateau, of the epochs' results: a run that goes on has no other state.
#pragma once

#include <cstdint>
#include <span>

#include "core/config.h"
#include "parallel/checkpoint/epoch_result.h"

namespace xbench {

// After the warm-up: learning_rate, times batch_size / base_batch (linear; Goyal et al. 2017) or its square root.
double scaled_learning_rate(const TrainConfig& config);

struct ScheduleState {
    int64_t batches = 1;     // steps of an epoch
    int64_t reductions = 0;  // of plateau, so far
};
// Of the step that counts from 0: rises in equal parts over the first warmup_steps, then follows the schedule.
double learning_rate_at(const TrainConfig& config, int64_t step, const ScheduleState& state = {});

// How often plateau has reduced after these epochs: PyTorch's ReduceLROnPlateau.
int64_t plateau_reductions(const TrainConfig& config, std::span<const EpochResult> history);

}  // namespace xbench
