// The rules for large batches.
#include "parallel/train/learning_rate.h"

#include <cmath>

namespace xbench {

double scaled_learning_rate(const TrainConfig& config) {
    if (config.lr_scaling == "none") return config.learning_rate;
    const double batches = static_cast<double>(config.batch_size) / static_cast<double>(config.base_batch);
    return config.learning_rate * (config.lr_scaling == "sqrt" ? std::sqrt(batches) : batches);
}

double learning_rate_at(const TrainConfig& config, int64_t step) {
    const double full = scaled_learning_rate(config);
    if (step + 1 >= config.warmup_steps) return full;
    return full * static_cast<double>(step + 1) / static_cast<double>(config.warmup_steps);
}

}  // namespace xbench
