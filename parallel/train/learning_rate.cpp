// The rules for large batches, and the schedules.
#include "parallel/train/learning_rate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace xbench {
namespace {

// Where a schedule is: intervals since the warm-up, and how many there are to the run's end.
struct Position {
    int64_t now, all;
};

Position position_of(const TrainConfig& config, int64_t step, int64_t batches) {
    if (config.lr_interval == "step")
        return {std::max<int64_t>(step - config.warmup_steps, 0), config.epochs * batches - config.warmup_steps};
    const int64_t warming = (config.warmup_steps + batches - 1) / batches;  // epochs
    return {std::max<int64_t>(step / batches - warming, 0), config.epochs - warming};
}

double cosine(const TrainConfig& config, double full, const Position& at) {
    const int64_t end = std::max<int64_t>(config.lr_t_max > 0 ? config.lr_t_max : at.all, 1);
    if (at.now >= end) return config.lr_min;
    const double share = static_cast<double>(at.now) / static_cast<double>(end);
    return config.lr_min + (full - config.lr_min) * (1 + std::cos(std::numbers::pi * share)) / 2;
}

double metric_of(const TrainConfig& config, const EpochResult& epoch) {
    if (config.lr_monitor == "train_loss") return epoch.train_loss;
    if (config.lr_monitor == "val_accuracy") return epoch.val_accuracy;
    return config.lr_monitor == "val_loss" ? epoch.val_loss : epoch.val_balanced_accuracy;
}

bool improves(const TrainConfig& config, double now, double best) {
    const bool less = config.lr_monitor.ends_with("loss"), relative = config.lr_threshold_mode == "rel";
    if (relative) return less ? now < best * (1 - config.lr_threshold) : now > best * (1 + config.lr_threshold);
    return less ? now < best - config.lr_threshold : now > best + config.lr_threshold;
}

}  // namespace

double scaled_learning_rate(const TrainConfig& config) {
    if (config.lr_scaling == "none") return config.learning_rate;
    const double batches = static_cast<double>(config.batch_size) / static_cast<double>(config.base_batch);
    return config.learning_rate * (config.lr_scaling == "sqrt" ? std::sqrt(batches) : batches);
}

double learning_rate_at(const TrainConfig& config, int64_t step, const ScheduleState& state) {
    const double full = scaled_learning_rate(config);
    if (step + 1 < config.warmup_steps)
        return full * static_cast<double>(step + 1) / static_cast<double>(config.warmup_steps);
    if (config.lr_schedule == "constant") return full;
    if (config.lr_schedule == "plateau")
        return std::max(full * std::pow(config.lr_gamma, static_cast<double>(state.reductions)), config.lr_min);
    const Position at = position_of(config, step, std::max<int64_t>(state.batches, 1));
    if (config.lr_schedule == "cosine") return cosine(config, full, at);
    return full * std::pow(config.lr_gamma, static_cast<double>(at.now / config.lr_step_size));
}

int64_t plateau_reductions(const TrainConfig& config, std::span<const EpochResult> history) {
    if (config.lr_schedule != "plateau") return 0;
    constexpr double infinity = std::numeric_limits<double>::infinity();
    double best = config.lr_monitor.ends_with("loss") ? infinity : -infinity;
    int64_t bad = 0, cooldown = 0, reductions = 0;
    for (const EpochResult& epoch : history) {
        const double now = metric_of(config, epoch);
        // Relative to -infinity everything is an improvement, which its product with a threshold of 1 is not.
        if (std::isinf(best) ? std::isfinite(now) : improves(config, now, best)) {
            best = now;
            bad = 0;
        } else {
            ++bad;
        }
        if (cooldown > 0) {
            --cooldown;
            bad = 0;
        }
        if (bad <= config.lr_patience) continue;
        ++reductions;
        cooldown = config.lr_cooldown;
        bad = 0;
    }
    return reductions;
}

}  // namespace xbench
