// The learning rate of each step: that of the configuration, scaled to the batch by the chosen rule, after a warm-up.
#pragma once

#include <cstdint>

#include "core/config.h"

namespace xbench {

// After the warm-up: learning_rate, times batch_size / base_batch (linear; Goyal et al. 2017) or its square root.
double scaled_learning_rate(const TrainConfig& config);
// Of the step that counts from 0: rises in equal parts over the first warmup_steps.
double learning_rate_at(const TrainConfig& config, int64_t step);

}  // namespace xbench
