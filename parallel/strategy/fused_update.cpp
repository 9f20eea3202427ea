// One pass over a rank's part of the flat buffers.
#include "parallel/strategy/fused_update.h"

#include <algorithm>

#include "kernels/rank_sum/rank_sum.h"

namespace xbench {
namespace {

// Elements: what one pass touches of them, two ranks' gradients, parameters and moments, fits into any L2 cache.
constexpr size_t piece_elements = 4096;
// Reads a word of each cache line.
void fetch(const float* data, RankRange piece) {
    for (size_t i = piece.begin; i < piece.end; i += 16) static_cast<void>(*const_cast<const volatile float*>(data + i));
}

}  // namespace

FusedUpdate::FusedUpdate(const ModelState& state, const RankSums& sums, OptimizerStep& optimizer)
    : sums_(sums),
      optimizer_(optimizer),
      device_(state.device),
      count_(static_cast<size_t>(state.flat.parameter_elements)),
      own_(range_of_rank(count_, sums.communicator.rank(), sums.communicator.size())),
      gradients_(state.gradients.as<float>()) {
    Communicator& ranks = sums.communicator;
    const std::vector<void*> gradients = ranks.copies(state.gradients.data());
    for (size_t rank = 0; rank < gradients.size(); ++rank)
        for (int addend = 0; addend < sums.tree.addends[rank]; ++addend) {
            addends_.push_back(static_cast<const float*>(gradients[rank]) +
                               static_cast<size_t>(addend) * state.gradient_stride);
            if (gradients[rank] != gradients_) others_.push_back(addends_.back());
        }
}

void FusedUpdate::run(const StepContext& context, ExposedTime& exposed) const {
    const Addends<float> addends{addends_.data(), static_cast<int>(addends_.size()), sums_.tree.merges.data()};
    const auto meet = [&] { sums_.communicator.meet_at_copies(gradients_, count_ * sizeof(float)); };
    exposed.time(meet);
    device_.run([&](const Team& team) {
        ExposedTime others(device_);  // than the calling thread's are not counted
        ExposedTime& communication = team.rank == 0 ? exposed : others;
        const RankRange share = range_of_rank(own_.end - own_.begin, team.rank, team.size);
        for (size_t begin = own_.begin + share.begin, stop = own_.begin + share.end; begin < stop; begin += piece_elements) {
            const RankRange piece{begin, std::min(begin + piece_elements, stop)};
            communication.time([&] {
                for (const float* theirs : others_) fetch(theirs, piece);
            });
            sum_over_ranks(device_.target().isa, addends, &gradients_, 1, piece.begin, piece.end);
            optimizer_.run_range(context, piece);
        }
        optimizer_.average_statistics(team);
    });
    exposed.time(meet);
}

void FusedUpdate::gather() const {
    for (int m = 0; m < optimizer_.moments(); ++m) sums_.communicator.all_gather(optimizer_.moment(m), count_);
}

}  // namespace xbench
