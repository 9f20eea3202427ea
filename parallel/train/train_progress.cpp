// Telling the watcher.
#include "parallel/train/train_progress.h"

namespace xbench {

void ProgressReport::after_step(int64_t epoch, int64_t step, double loss, int64_t images, int64_t step_ns) {
    if (!watched()) return;
    if (step_ns > 0) images_per_second_ = static_cast<double>(images) / (static_cast<double>(step_ns) * 1e-9);
    if (epoch != epoch_) epoch_ = epoch, epoch_images_ = 0, epoch_loss_ = 0;
    epoch_images_ += images;
    epoch_loss_ += loss * static_cast<double>(images);
    tell(epoch, step, epoch_loss_ / static_cast<double>(epoch_images_), nullptr);
}

void ProgressReport::after_epoch(const EpochResult& epoch, int64_t step) {
    if (watched()) tell(epoch.epoch, step, epoch.train_loss, &epoch);
}

void ProgressReport::tell(int64_t epoch, int64_t step, double loss, const EpochResult* finished) const {
    const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    const auto done = static_cast<double>(step - resumed_at_), left = static_cast<double>(steps_ - step);
    watcher_({epoch, epochs_, step, steps_, loss, images_per_second_, done > 0 ? elapsed / done * left : 0, finished});
}

}  // namespace xbench
