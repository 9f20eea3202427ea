// The replicated strategy (DDP): gradients are reduced in buckets (parallel/strategy/gradient_buckets.h), while the backward
// pass goes on or behind it, and every rank makes the same update; or, in one node, each rank makes a part of it for all
// (parallel/strategy/fused_update.h).
#include <optional>
#include <utility>
#include <vector>

#include "parallel/strategy/compression.h"
#include "parallel/strategy/exposed_time.h"
#include "parallel/strategy/fused_update.h"
#include "parallel/strategy/gradient_buckets.h"
#include "parallel/strategy/optimizer_step.h"
#include "parallel/strategy/power_sgd.h"
#include "parallel/strategy/strategy.h"

namespace xbench {
namespace {

class Replicated final : public Strategy {
public:
    Replicated(const TrainConfig& config, ModelState& state, const RankSums& sums)
        : state_(state),
          sums_(sums),
          compression_(config.compression),
          overlap_(overlap_of_replicas(config, sums.communicator)),
          optimizer_(config, state),
          exposed_(state.device),
          update_exposed_(state.device) {
        const int ranks = sums.communicator.size();
        if (overlap_ == Overlap::fused)
            fused_.emplace(state, sums, optimizer_);
        else if (compression_ == "powersgd")
            power_sgd_.emplace(state, config.powersgd_rank, config.seed);
        else if (compression_ != "none")
            half_sum_.emplace(compression_ == "fp16" ? HalfFormat::fp16 : HalfFormat::bf16, ranks,
                              static_cast<size_t>(state.flat.parameter_elements));
    }

    void attach(const Plan& plan) override {
        if (sums_.communicator.size() == 1 || fused_) return;  // then update() sums
        std::vector<Bucket> buckets = cut_buckets(plan, overlap_);
        if (power_sgd_) buckets = {{{0, state_.flat.parameter_elements}, plan.steps.size() - 1}};  // whole layers
        reducer_.emplace(overlap_, state_.device, sums_.communicator, std::move(buckets), plan.steps.size(),
                         [this](size_t bucket, Communicator& over) { reduce(bucket, over); });
    }
    bool may_be_recorded() const override {
        return sums_.communicator.size() == 1 || (sums_.communicator.goes_into_order() && !exposed_.is_sample_due());
    }
    void replayed() override {
        exposed_.replayed();
        if (std::exchange(update_begun_, false))
            update_exposed_.replayed();  // it was part of the record
        else if (reducer_)
            reducer_->replayed();
    }
    std::span<const uint8_t> wanted_calls() const override {
        return reducer_ ? reducer_->wanted_calls() : std::span<const uint8_t>{};
    }
    void after_step(size_t step) override {
        exposed_.time([&] { reducer_->after_step(step); });
    }
    void all_reduce(double* data, int64_t count, int64_t stride) override {
        exposed_.time([&] {
            if (!reducer_) return sums_.sum(data, static_cast<size_t>(count), static_cast<size_t>(stride));
            reducer_->sum_beside(
                [&](Communicator& over) { sums_.sum(data, static_cast<size_t>(count), static_cast<size_t>(stride), over); });
        });
    }
    void begin_all_reduce(double* data, int64_t count, int64_t stride) override {
        if (reducer_ && reducer_->has_own_order()) return all_reduce(data, count, stride);
        exposed_.time([&] { sums_.begin_sum(data, static_cast<size_t>(count), static_cast<size_t>(stride)); });
    }
    void end_all_reduce() override {
        if (reducer_ && reducer_->has_own_order()) return;
        exposed_.time([&] { sums_.end_sum(); });
    }

    void update(const StepContext& context) override {
        if (fused_) return fused_->run(context, exposed_);
        sum_the_rest();
        optimizer_.run(context);
    }
    bool update_goes_into_order() const override {
        return !optimizer_.host_decides() && (sums_.communicator.size() == 1 || sums_.communicator.goes_into_order());
    }
    void begin_update(const StepContext& context) override {
        update_begun_ = true;
        optimizer_.begin(context);
    }
    void order_update() override {
        update_begun_ = false;
        sum_the_rest();
        optimizer_.order();
    }

    std::vector<NamedTensor> save() const override {
        if (fused_) fused_->gather();
        std::vector<const float*> flat;
        for (int m = 0; m < optimizer_.moments(); ++m) flat.push_back(optimizer_.moment(m));
        std::vector<NamedTensor> tensors = name_moments(state_, optimizer_.moment_names(), flat);
        optimizer_.save_statistics(tensors);
        return tensors;
    }
    void load(const std::vector<NamedTensor>& moments, const std::string& origin) override {
        std::vector<float*> flat;
        for (int m = 0; m < optimizer_.moments(); ++m) flat.push_back(optimizer_.moment(m));
        find_moments(state_, moments, origin, optimizer_.moment_names(), flat);
        optimizer_.load_statistics(moments, origin);
    }
    double gradient_norm() const override { return optimizer_.gradient_norm(); }
    void end_update(const StepContext& context) override { optimizer_.end_update(context); }
    void start_average() override { optimizer_.start_average(); }
    void swap_average() override {
        if (!optimizer_.averages()) return;
        if (!fused_) return optimizer_.swap_average();
        // The ranks have one copy of the parameters and each the average of its part, but statistics of their own.
        Communicator& ranks = sums_.communicator;
        ranks.barrier();
        optimizer_.swap_average(fused_->own());
        ranks.barrier();
    }
    LossScaler* loss_scaler() override { return optimizer_.loss_scaler(); }
    size_t state_bytes() const override { return optimizer_.bytes(); }
    size_t summed_bytes() const override { return fused_ ? bytes_of(state_.flat.parameter_elements) : summed_bytes_; }
    std::string overlap() const override {
        if (reducer_ && reducer_->has_own_order()) return "stream";
        return reducer_ || fused_ ? name_of(overlap_) : "none";
    }
    bool stuck() const override { return reducer_ && reducer_->stuck(); }
    int64_t take_exposed_ns() override { return exposed_.take() + update_exposed_.take(); }

private:
    size_t bytes_of(int64_t elements) const {
        return static_cast<size_t>(elements) * sizeof(float) * static_cast<size_t>(sums_.blocks());
    }
    void sum_the_rest() {
        if (reducer_)
            update_exposed_.time([&] { reducer_->finish(); });
        else
            sum_own_blocks();
    }
    // One rank has no peers, but where the leaves are no power of two it has several blocks of them.
    void sum_own_blocks() const {
        if (sums_.blocks() == 1) return;
        float* const total = state_.gradients.as<float>();
        std::vector<const float*> blocks;
        for (int b = 0; b < sums_.blocks(); ++b) blocks.push_back(total + static_cast<size_t>(b) * state_.gradient_stride);
        const auto count = static_cast<size_t>(state_.flat.parameter_elements);
        state_.device.sum({blocks.data(), sums_.blocks(), sums_.tree.merges.data()}, total, count);
    }
    void reduce(size_t bucket, Communicator& over) {
        const FlatSpan span = reducer_->buckets()[bucket].span;
        float* const gradients = state_.gradients.as<float>() + span.begin;
        const auto count = static_cast<size_t>(span.end - span.begin);
        size_t bytes = bytes_of(span.end - span.begin);
        if (power_sgd_)
            bytes = power_sgd_->sum(gradients, over);
        else if (half_sum_)
            bytes = half_sum_->sum(gradients, count, over);
        else
            sums_.sum(gradients, count, state_.gradient_stride, over);
        summed_bytes_ = bucket == 0 ? bytes : summed_bytes_ + bytes;
    }

    ModelState& state_;
    const RankSums& sums_;
    const std::string compression_;
    const Overlap overlap_;
    OptimizerStep optimizer_;
    ExposedTime exposed_, update_exposed_;  // within the plan's steps, which may be replayed, and behind them
    std::optional<HalfSum> half_sum_;
    std::optional<PowerSgd> power_sgd_;
    std::optional<FusedUpdate> fused_;
    bool update_begun_ = false;             // order_update() is part of the run that comes
    size_t summed_bytes_ = 0;               // of the last step's buckets
    std::optional<BucketReducer> reducer_;  // with several ranks, once a plan is attached
};

}  // namespace

std::unique_ptr<Strategy> make_replicated(const TrainConfig& config, ModelState& state, const RankSums& sums) {
    return std::make_unique<Replicated>(config, state, sums);
}

}  // namespace xbench
