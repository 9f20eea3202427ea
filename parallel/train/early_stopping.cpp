// Keras' rule.
#include "parallel/train/early_stopping.h"

#include <limits>

namespace xbench {
namespace {

double metric_of(const std::string& monitor, const EpochResult& epoch) {
    if (monitor == "val_loss") return epoch.val_loss;
    return monitor == "val_accuracy" ? epoch.val_accuracy : epoch.val_balanced_accuracy;
}

}  // namespace

EarlyStopping early_stopping(const TrainConfig& config, std::span<const EpochResult> history) {
    const bool first_rise = config.early_stopping == "first_rise";
    const std::string monitor = first_rise ? "val_loss" : config.monitor;
    const int64_t patience = first_rise ? 1 : config.patience;
    const bool less = monitor == "val_loss";
    const auto improves_on = [&](double now, double on) {
        return less ? now + config.min_delta < on : now - config.min_delta > on;
    };
    constexpr double infinity = std::numeric_limits<double>::infinity();
    EarlyStopping state;
    state.best = less ? infinity : -infinity;
    const auto start = static_cast<size_t>(config.start_from_epoch);
    for (size_t i = 0; i < history.size(); ++i) {
        if (i <= start) state.best_epoch = history[i].epoch;
        if (i < start) continue;
        const double now = metric_of(monitor, history[i]);
        ++state.wait;
        if (improves_on(now, state.best)) {
            state.best = now;
            state.best_epoch = history[i].epoch;
            if (config.baseline < 0 || improves_on(now, config.baseline)) state.wait = 0;
        } else if (patience > 0 && state.wait >= patience && i > 0) {
            state.stop = true;
        }
    }
    return state;
}

}  // namespace xbench
