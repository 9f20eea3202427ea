// Which epoch is the best.
#include "parallel/train/best_epoch.h"

#include <cmath>

namespace xbench {

bool BestEpoch::beaten_by(const EpochResult& other, const std::string& monitor) const {
    if (std::isnan(other.val_loss)) return false;
    if (!exists() || std::isnan(epoch.val_loss)) return true;
    const auto score = [&](const EpochResult& e) {
        if (monitor == "val_loss") return -e.val_loss;
        return monitor == "val_balanced_accuracy" ? e.val_balanced_accuracy : e.val_accuracy;
    };
    if (score(other) != score(epoch)) return score(other) > score(epoch);
    return other.val_loss < epoch.val_loss;
}

}  // namespace xbench
