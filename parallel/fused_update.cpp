// One pass over a rank's part of the flat buffers.
#include "parallel/fused_update.h"

#include <algorithm>
#include <cstring>

#include "kernels/rank_sum/rank_sum.h"
#include "kernels/team.h"

namespace xbench {
namespace {

// Elements: what one pass touches of them, two ranks' gradients, parameters and moments, fits into any L2 cache.
constexpr size_t piece_elements = 4096;
// Elements: a model whose parameters stay in no rank's own caches until they are read again. rsna_cnn's exposed time falls
// by 0.4 ms of 2.4 with stores past them.
constexpr size_t beyond_caches = size_t{1} << 20;

// Reads a word of each cache line.
void fetch(const float* data, RankRange piece) {
    for (size_t i = piece.begin; i < piece.end; i += 16) static_cast<void>(*const_cast<const volatile float*>(data + i));
}

}  // namespace

FusedUpdate::FusedUpdate(const ModelState& state, const RankSums& sums, OptimizerStep& optimizer, Isa isa, int threads)
    : sums_(sums),
      optimizer_(optimizer),
      isa_(isa),
      threads_(threads),
      count_(static_cast<size_t>(state.flat.parameter_elements)),
      own_(range_of_rank(count_, sums.communicator.rank(), sums.communicator.size())),
      gradients_(state.gradients.as<float>()) {
    Communicator& ranks = sums.communicator;
    for (void* copy : ranks.copies(state.parameters.data())) parameters_.push_back(static_cast<float*>(copy));
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
    run_team(threads_, [&](const Team& team) {
        ExposedTime others;  // than the calling thread's are not counted
        ExposedTime& communication = team.rank == 0 ? exposed : others;
        const RankRange share = range_of_rank(own_.end - own_.begin, team.rank, team.size);
        for (size_t begin = own_.begin + share.begin, stop = own_.begin + share.end; begin < stop; begin += piece_elements) {
            const RankRange piece{begin, std::min(begin + piece_elements, stop)};
            communication.time([&] {
                for (const float* theirs : others_) fetch(theirs, piece);
            });
            sum_over_ranks(isa_, addends, &gradients_, 1, piece.begin, piece.end);
            optimizer_.run_range(context, piece);
            communication.time([&] { give_to_others(piece); });
        }
    });
    exposed.time(meet);
}

void FusedUpdate::give_to_others(RankRange piece) const {
    const auto me = static_cast<size_t>(sums_.communicator.rank());
    const size_t count = piece.end - piece.begin;
    for (size_t rank = 0; rank < parameters_.size(); ++rank) {
        if (rank == me) continue;
        if (count_ >= beyond_caches)
            copy_past_caches(isa_, parameters_[rank] + piece.begin, parameters_[me] + piece.begin, count);
        else
            std::memcpy(parameters_[rank] + piece.begin, parameters_[me] + piece.begin, count * sizeof(float));
    }
}

void FusedUpdate::gather() const {
    for (int m = 0; m < optimizer_.moments(); ++m) sums_.communicator.all_gather(optimizer_.moment(m), count_);
}

}  // namespace xbench
