// Sums of losses.
#include "parallel/train/epoch_losses.h"

#include <algorithm>
#include <numeric>

#include "parallel/comm/host_sums.h"

namespace xbench {

EpochLosses::EpochLosses(const RankSums& sums, int64_t batches)
    : sums_(sums), batches_(static_cast<size_t>(batches)), losses_(batches_ * static_cast<size_t>(sums.blocks())) {}

void EpochLosses::clear() { std::fill(losses_.begin(), losses_.end(), 0.0); }

double& EpochLosses::of(int64_t batch, int block) {
    return losses_[static_cast<size_t>(block) * batches_ + static_cast<size_t>(batch)];
}

double EpochLosses::here(int64_t batch) const {
    double loss = 0;
    for (int block = 0; block < sums_.blocks(); ++block)
        loss += losses_[static_cast<size_t>(block) * batches_ + static_cast<size_t>(batch)];
    return loss;
}

std::vector<double> EpochLosses::of_all() const {
    std::vector<double> losses = losses_;
    sum_on_host(sums_, losses.data(), batches_, batches_);
    losses.resize(batches_);
    return losses;
}

double EpochLosses::total() const {
    const std::vector<double> losses = of_all();
    return std::accumulate(losses.begin(), losses.end(), 0.0);
}

void EpochLosses::resume(const std::vector<double>& of_all) {
    if (sums_.communicator.rank() == 0) std::copy(of_all.begin(), of_all.end(), losses_.begin());
}

}  // namespace xbench
