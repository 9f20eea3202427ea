// Two steps' losses in turn.
#include "parallel/train/late_losses.h"

namespace xbench {

LateLosses::LateLosses(Device& device, size_t numbers)
    : device_(device), numbers_(numbers), staging_(device.allocate_staging(2 * numbers * sizeof(double))) {}

double* LateLosses::next() {
    if (waiting() == 2) read();
    return slot(sent_);
}

void LateLosses::send(int64_t batch, int64_t images, uint32_t step) {
    ring_[sent_ % 2] = {batch, images, step, slot(sent_), device_.record()};
    ++sent_;
}

LateLosses::Sent LateLosses::read() {
    const Sent& oldest = ring_[read_++ % 2];
    device_.wait(oldest.copied);
    return oldest;
}

const double* LateLosses::newest() {
    const Sent& last = ring_[(sent_ + 1) % 2];
    device_.wait(last.copied);
    return last.numbers;
}

}  // namespace xbench
