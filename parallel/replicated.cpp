// The replicated strategy (DDP): gradients are reduced in buckets (parallel/gradient_buckets.h), while the backward pass
// goes on or behind it, and every rank makes the same update.
#include <optional>

#include "parallel/exposed_time.h"
#include "parallel/gradient_buckets.h"
#include "parallel/optimizer_step.h"
#include "parallel/strategy.h"

namespace xbench {
namespace {

class Replicated final : public Strategy {
public:
    Replicated(const TrainConfig& config, ModelState& state, const RankSums& sums, Isa isa, int threads)
        : state_(state),
          sums_(sums),
          overlap_(overlap_for(config.overlap, sums.communicator)),
          optimizer_(config, state, {0, static_cast<size_t>(state.flat.parameter_elements)}, isa, threads) {}

    void attach(const Plan& plan) override {
        if (sums_.communicator.size() == 1) return;
        reducer_.emplace(overlap_, sums_.communicator, cut_buckets(plan), plan.steps.size(),
                         [this](size_t bucket, Communicator& over) { reduce(bucket, over); });
    }
    std::span<const uint8_t> wanted_calls() const override {
        return reducer_ ? reducer_->wanted_calls() : std::span<const uint8_t>{};
    }
    void after_step(size_t step) override {
        exposed_.time([&] { reducer_->after_step(step); });
    }
    void all_reduce(double* data, int64_t count, int64_t stride) override {
        exposed_.time([&] { sums_.sum(data, static_cast<size_t>(count), static_cast<size_t>(stride)); });
    }

    void update(const StepContext& context) override {
        if (reducer_) exposed_.time([&] { reducer_->finish(); });
        optimizer_.run(context);
    }

    std::vector<NamedTensor> save() const override {
        std::vector<const float*> flat;
        for (int m = 0; m < optimizer_.moments(); ++m) flat.push_back(optimizer_.moment(m));
        return name_moments(state_, flat);
    }
    void load(const std::vector<NamedTensor>& moments, const std::string& origin) override {
        std::vector<float*> flat;
        for (int m = 0; m < optimizer_.moments(); ++m) flat.push_back(optimizer_.moment(m));
        find_moments(state_, moments, origin, flat);
    }
    size_t state_bytes() const override { return optimizer_.bytes(); }
    std::string overlap() const override { return reducer_ ? name_of(overlap_) : "none"; }
    bool stuck() const override { return reducer_ && reducer_->stuck(); }
    int64_t take_exposed_ns() override { return exposed_.take(); }

private:
    void reduce(size_t bucket, Communicator& over) {
        const FlatSpan span = reducer_->buckets()[bucket].span;
        sums_.sum(state_.gradients.as<float>() + span.begin, static_cast<size_t>(span.end - span.begin),
                  state_.gradient_stride, over);
    }

    ModelState& state_;
    const RankSums& sums_;
    const Overlap overlap_;
    OptimizerStep optimizer_;
    ExposedTime exposed_;
    std::optional<BucketReducer> reducer_;  // with several ranks, once a plan is attached
};

}  // namespace

std::unique_ptr<Strategy> make_replicated(const TrainConfig& config, ModelState& state, const RankSums& sums, Isa isa,
                                          int threads) {
    return std::make_unique<Replicated>(config, state, sums, isa, threads);
}

}  // namespace xbench
