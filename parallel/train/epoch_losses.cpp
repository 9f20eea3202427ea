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

double mean_of_chunks(const std::vector<double>& of_batches, const std::vector<int64_t>& bounds, int64_t chunk_images) {
    double sum = 0, chunk = 0;
    int64_t chunks = 0, begin = 0;
    for (size_t i = 0; i < of_batches.size(); ++i) {
        chunk += of_batches[i];
        const int64_t end = bounds[i + 1];
        if (end % chunk_images != 0 && i + 1 < of_batches.size()) continue;
        sum += chunk / static_cast<double>(end - begin);
        begin = end;
        chunk = 0;
        ++chunks;
    }
    return chunks > 0 ? sum / static_cast<double>(chunks) : 0;
}

}  // namespace xbench
