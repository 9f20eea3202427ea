// The state of dynamic loss scaling (parallel/strategy/loss_scaler.h) as a checkpoint holds it.
#pragma once

#include <cstdint>

namespace xbench {

struct LossScale {
    double scale = 65536;
    int64_t good_updates = 0;     // since the scale last changed
    int64_t skipped_updates = 0;  // since the training began
};

}  // namespace xbench
