// How far a training run is, for its observer. Rank 0 reports after every step and every epoch.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "parallel/checkpoint/epoch_result.h"

namespace xbench {

struct TrainProgress {
    int64_t epoch, epochs, step, steps;  // step counts over the whole training, steps is its planned total
    double loss;                         // mean over the images of this epoch so far, of this rank
    double images_per_second, seconds_left;
    const EpochResult* finished_epoch;  // null inside an epoch
};

class ProgressReport {
public:
    using Watcher = std::function<void(const TrainProgress&)>;
    ProgressReport(Watcher watcher, int64_t epochs, int64_t steps)
        : watcher_(std::move(watcher)), epochs_(epochs), steps_(steps) {}

    void resumed_at(int64_t step) { resumed_at_ = step; }
    bool watched() const { return watcher_ != nullptr; }
    // `step` are done; `loss` is the mean of the last one's images on this rank. step_ns is 0 where no step's time is known.
    void after_step(int64_t epoch, int64_t step, double loss, int64_t images, int64_t step_ns);
    void after_epoch(const EpochResult& epoch, int64_t step);

private:
    void tell(int64_t epoch, int64_t step, double loss, const EpochResult* finished) const;
    const Watcher watcher_;  // empty: nobody watches
    const int64_t epochs_, steps_;
    int64_t resumed_at_ = 0, epoch_ = 0, epoch_images_ = 0;
    double epoch_loss_ = 0;         // sum over the images of the epoch under way
    double images_per_second_ = 0;  // of the last step
    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace xbench
