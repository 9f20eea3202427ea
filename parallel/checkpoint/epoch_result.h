// The results of one epoch of a training run. Checkpoints keep them, history.csv shows them.
#pragma once

#include <cstdint>

namespace xbench {

struct EpochResult {
    int64_t epoch = 0;  // counts from 1
    double train_loss = 0, val_loss = 0, val_accuracy = 0, val_balanced_accuracy = 0;
    double learning_rate = 0;  // of its last step
    double train_seconds = 0, val_seconds = 0;
    int64_t images = 0;           // trained on in this epoch, all ranks
    bool best = false;            // best so far by the monitor
    double chunk_loss = 0;        // mean over the epoch's chunks of their images' mean loss; 0: it has no chunks
    double gradient_norm = 0;     // mean over its updates, unscaled, before clipping; 0: they do not clip
    double clipped = 0;           // share of its updates
    double loss_scale = 1;        // after it; 1 where the loss is not scaled (precision fp16)
    int64_t skipped_updates = 0;  // in it, as their gradients overflowed
};

}  // namespace xbench
