// The sharded strategy, ZeRO stage 1: every rank has all parameters and gradients, but the optimizer's state of its own
// range only (Rajbhandari et al., SC 2020). The gradients are reduced and scattered, each rank updates its range, and the
// parameters are gathered: the traffic of an all-reduce, and 1/N of the moments' memory. The sums are those of DDP, so the
// weights are too.
#include <algorithm>

#include "parallel/exposed_time.h"
#include "parallel/optimizer_step.h"
#include "parallel/strategy.h"

namespace xbench {
namespace {

class Sharded final : public Strategy {
public:
    Sharded(const TrainConfig& config, ModelState& state, const RankSums& sums, Isa isa, int threads)
        : state_(state),
          sums_(sums),
          elements_(static_cast<size_t>(state.flat.parameter_elements)),
          optimizer_(config, state, range_of_rank(elements_, sums.communicator.rank(), sums.communicator.size()), isa,
                     threads) {}

    void all_reduce(double* data, int64_t count, int64_t stride) override {
        exposed_.time([&] { sums_.sum(data, static_cast<size_t>(count), static_cast<size_t>(stride)); });
    }

    void update(const StepContext& context) override {
        exposed_.time([&] { reduce_gradients(); });
        optimizer_.run(context);
        exposed_.time([&] { sums_.communicator.all_gather(state_.parameters.as<float>(), elements_); });
    }

    // The ranks' ranges put together, so that a checkpoint is the same for any strategy and number of ranks.
    std::vector<NamedTensor> save() const override {
        std::vector<AlignedBuffer> whole;
        std::vector<const float*> flat;
        for (int m = 0; m < optimizer_.moments(); ++m) {
            whole.emplace_back(elements_ * sizeof(float));
            float* all = whole.back().as<float>();
            std::copy_n(optimizer_.moment(m), own(), all + optimizer_.range().begin);
            sums_.communicator.all_gather(all, elements_);
            flat.push_back(all);
        }
        return name_moments(state_, flat);
    }
    void load(const std::vector<NamedTensor>& moments, const std::string& origin) override {
        std::vector<AlignedBuffer> whole;
        std::vector<float*> flat;
        for (int m = 0; m < optimizer_.moments(); ++m) {
            whole.emplace_back(elements_ * sizeof(float));
            flat.push_back(whole.back().as<float>());
        }
        find_moments(state_, moments, origin, flat);
        for (int m = 0; m < optimizer_.moments(); ++m)
            std::copy_n(flat[static_cast<size_t>(m)] + optimizer_.range().begin, own(), optimizer_.moment(m));
    }
    size_t state_bytes() const override { return optimizer_.bytes(); }
    int64_t take_exposed_ns() override { return exposed_.take(); }

private:
    size_t own() const { return optimizer_.range().end - optimizer_.range().begin; }

    void reduce_gradients() {
        // Blocks of leaves (3 ranks and 8 leaves) are reduced everywhere: the ranges would save traffic only.
        if (sums_.most_blocks > 1)
            sums_.sum(state_.gradients.as<float>(), elements_, state_.gradient_stride);
        else
            sums_.communicator.reduce_scatter_sum(state_.gradients.as<float>(), elements_, sums_.reduction);
    }

    ModelState& state_;
    const RankSums& sums_;
    const size_t elements_;
    OptimizerStep optimizer_;
    ExposedTime exposed_;
};

}  // namespace

std::unique_ptr<Strategy> make_sharded(const TrainConfig& config, ModelState& state, const RankSums& sums, Isa isa,
                                       int threads) {
    return std::make_unique<Sharded>(config, state, sums, isa, threads);
}

}  // namespace xbench
