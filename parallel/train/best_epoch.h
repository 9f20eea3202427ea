// The best epoch so far, by the monitor of the configuration, and its weights.
#pragma once

#include <string>

#include "eval/metrics.h"
#include "parallel/checkpoint/checkpoint.h"
#include "parallel/checkpoint/epoch_result.h"

namespace xbench {

struct BestEpoch {
    bool exists() const { return epoch.epoch > 0; }
    // Whether an epoch beats it: by the monitored figure (train.monitor); of equal ones the lower loss wins. An epoch
    // whose loss is no number never does, and is beaten by any other.
    bool beaten_by(const EpochResult& other, const std::string& monitor) const;

    EpochResult epoch;  // number 0: none yet
    WeightSet weights;
    Metrics val;  // count 0: an earlier process measured them
};

}  // namespace xbench
