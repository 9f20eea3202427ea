// Which epoch is the best.
#include "parallel/train/best_epoch.h"

namespace xbench {

bool BestEpoch::beaten_by(const EpochResult& other, const std::string& monitor) const {
    if (!exists()) return true;
    const auto score = [&](const EpochResult& e) {
        if (monitor == "val_loss") return -e.val_loss;
        return monitor == "val_balanced_accuracy" ? e.val_balanced_accuracy : e.val_accuracy;
    };
    if (score(other) != score(epoch)) return score(other) > score(epoch);
    return other.val_loss < epoch.val_loss;
}

}  // namespace xbench
