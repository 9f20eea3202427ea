// When a training ends before its last epoch: Keras' EarlyStopping, and its special case, the first rise of the validation
// loss. A function of the epochs' results, which checkpoints hold; so there is no other state to keep.
#pragma once

#include <cstdint>
#include <span>

#include "core/config.h"
#include "parallel/checkpoint/epoch_result.h"

namespace xbench {

struct EarlyStopping {
    double best = 0;         // of the monitored figure
    int64_t best_epoch = 0;  // 0: none
    int64_t wait = 0;        // epochs since without improvement
    bool stop = false;
};
// After these epochs, with early_stopping keras or first_rise. The epoch that is restored is best_epoch. Where nothing ever
// improved (all NaN) it is the first that counts; while none counts (start_from_epoch) it is the newest.
EarlyStopping early_stopping(const TrainConfig& config, std::span<const EpochResult> history);

}  // namespace xbench
