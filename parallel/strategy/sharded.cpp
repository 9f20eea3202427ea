// The sharded strategy, ZeRO stages 1 to 3 (parallel/strategy/sharded_units.h says what each keeps).
//
//   stage   after a unit's backward steps     update()          before a unit's steps
//   1       reduce-scatter in place           update, gather    -
//   2       reduce-scatter into the shard     update, gather    -
//   3       reduce-scatter into the shard     update            gather
//
// Where several passes over a batch add up whole gradients (parallel/train/micro_batches.h), stages 2 and 3 reduce them like
// stage 1, all of them behind the last pass; stage 3 gathers in each pass.
//
// The sums are those of DDP, element by element, so the weights are too, bit for bit.
#include <algorithm>
#include <utility>

#include "parallel/strategy/exposed_time.h"
#include "parallel/strategy/optimizer_step.h"
#include "parallel/strategy/strategy.h"

namespace xbench {
namespace {

// Where the parameters and gradients of this rank's shards lie.
std::vector<OptimizerPart> own_parts(const ModelState& state) {
    const ShardedUnits& units = *state.units;
    std::vector<OptimizerPart> parts;
    for (size_t u = 0; u < units.shards().units.size(); ++u) {
        const ShardUnit& unit = units.shards().units[u];
        float* const gradients = units.whole_gradients() ? state.gradients.as<float>() + unit.own.begin : units.gradients(u);
        float* const parameters =
            units.whole_parameters() ? state.parameters.as<float>() + unit.own.begin : units.parameters(u);
        parts.push_back({gradients, parameters, unit.own.begin, unit.own_elements()});
    }
    return parts;
}

class Sharded final : public Strategy {
public:
    Sharded(const TrainConfig& config, ModelState& state, const RankSums& sums)
        : state_(state),
          units_(*state.units),
          sums_(sums),
          optimizer_(config, state, own_parts(state), &state.units->group(), state.ledger),
          exposed_(state.device),
          update_exposed_(state.device) {}

    void attach(const Plan& plan) override {
        if (units_.several_passes())
            transfers_.emplace(plan, units_, UnitTransfers::Of::pass);
        else
            transfers_.emplace(plan, units_, UnitTransfers::Of::step,
                               units_.whole_gradients() ? state_.gradients.as<float>() : nullptr, state_.gradient_stride);
    }
    PassObserver* pass_observer() override { return units_.whole_parameters() ? nullptr : &passes_; }
    std::span<const uint8_t> wanted_calls() const override { return transfers_->wanted_calls(); }
    bool may_be_recorded() const override { return sums_.communicator.goes_into_order() && !exposed_.is_sample_due(); }
    void replayed() override {
        exposed_.replayed();
        if (std::exchange(update_begun_, false))
            update_exposed_.replayed();  // it was part of the record
        else
            transfers_->replayed();
    }
    void before_step(size_t step) override {
        exposed_.time([&] { transfers_->before_step(step); });
    }
    void after_step(size_t step) override {
        exposed_.time([&] { transfers_->after_step(step); });
    }
    void all_reduce(double* data, int64_t count, int64_t stride) override {
        exposed_.time([&] {
            transfers_->sum_beside(
                [&](Communicator& over) { sums_.sum(data, static_cast<size_t>(count), static_cast<size_t>(stride), over); });
        });
    }

    void update(const StepContext& context) override {
        optimizer_.begin(context);
        order_update();
    }
    bool update_goes_into_order() const override {
        return !optimizer_.host_decides() && sums_.communicator.goes_into_order();
    }
    void begin_update(const StepContext& context) override {
        update_begun_ = true;
        optimizer_.begin(context);
    }
    void order_update() override {
        update_begun_ = false;
        update_exposed_.time([&] {
            transfers_->finish();
            if (units_.several_passes()) reduce_passes();
        });
        optimizer_.order(&sums_.communicator);
        update_exposed_.time([&] { gather_parameters(); });
    }
    double gradient_norm() const override { return optimizer_.gradient_norm(); }
    void end_update(const StepContext& context) override { optimizer_.end_update(context); }
    void start_average() override { optimizer_.start_average(); }
    void swap_average() override {
        if (!optimizer_.averages()) return;
        optimizer_.swap_average();
        gather_parameters();
    }

    // The ranks' shards put together in host memory, so that a checkpoint is the same for any strategy and number of ranks.
    std::vector<NamedTensor> save() const override {
        std::vector<AlignedBuffer> whole = whole_moments();
        std::vector<const float*> flat;
        for (int m = 0; m < optimizer_.moments(); ++m) {
            float* const all = whole[static_cast<size_t>(m)].as<float>();
            for (const ShardUnit& unit : units_.shards().units) {
                state_.device.copy(all + unit.own.begin, optimizer_.moment(m) + unit.at,
                                   unit.own_elements() * sizeof(float));
                state_.device.wait();
                units_.group().all_gather(all + unit.span.begin, unit.elements());
            }
            flat.push_back(all);
        }
        std::vector<NamedTensor> tensors = name_moments(state_, optimizer_.moment_names(), flat);
        optimizer_.save_statistics(tensors);
        return tensors;
    }
    void load(const std::vector<NamedTensor>& moments, const std::string& origin) override {
        std::vector<AlignedBuffer> whole = whole_moments();
        std::vector<float*> flat;
        for (const AlignedBuffer& buffer : whole) flat.push_back(buffer.as<float>());
        find_moments(state_, moments, origin, optimizer_.moment_names(), flat);
        for (int m = 0; m < optimizer_.moments(); ++m)
            for (const ShardUnit& unit : units_.shards().units)
                state_.device.copy(optimizer_.moment(m) + unit.at, flat[static_cast<size_t>(m)] + unit.own.begin,
                                   unit.own_elements() * sizeof(float));
        optimizer_.load_statistics(moments, origin);
    }
    LossScaler* loss_scaler() override { return optimizer_.loss_scaler(); }
    size_t state_bytes() const override { return optimizer_.bytes(); }
    size_t summed_bytes() const override {
        const size_t bytes = units_.several_passes() ? static_cast<size_t>(state_.flat.parameter_elements) * sizeof(float)
                                                     : transfers_->reduced_bytes();
        return bytes * static_cast<size_t>(sums_.blocks());
    }
    std::string overlap() const override {
        if (transfers_ && transfers_->has_own_order()) return "stream";
        return sums_.communicator.size() == 1 ? "none" : units_.overlapped() ? "thread" : "inline";
    }
    bool stuck() const override { return transfers_ && transfers_->stuck(); }
    int64_t take_exposed_ns() override { return exposed_.take() + update_exposed_.take(); }

private:
    // Hears of steps as the strategy does, but sums nothing over ranks.
    class Passes final : public PassObserver {
    public:
        explicit Passes(Sharded& strategy) : strategy_(strategy) {}
        std::span<const uint8_t> wanted_calls() const override { return strategy_.wanted_calls(); }
        void before_step(size_t step) override { strategy_.before_step(step); }
        void after_step(size_t step) override { strategy_.after_step(step); }
        void end_pass() override {
            strategy_.exposed_.time([&] { strategy_.transfers_->finish(); });
        }

    private:
        Sharded& strategy_;
    };

    void gather_parameters() {
        if (!units_.whole_parameters()) return;
        for (const ShardUnit& unit : units_.shards().units)
            units_.group().all_gather(state_.parameters.as<float>() + unit.span.begin, unit.elements());
    }

    void reduce_passes() {
        const auto& units = units_.shards().units;
        for (size_t u = 0; u < units.size(); ++u)
            units_.reduce_scatter(u, state_.gradients.as<float>() + units[u].span.begin, state_.gradient_stride,
                                  units_.lines());
    }

    // Outside of steps, for a moment.
    std::vector<AlignedBuffer> whole_moments() const {
        std::vector<AlignedBuffer> whole;
        for (int m = 0; m < optimizer_.moments(); ++m)
            whole.emplace_back(static_cast<size_t>(state_.flat.parameter_elements) * sizeof(float), state_.ledger,
                               MemoryCategory::optimizer);
        return whole;
    }

    ModelState& state_;
    const ShardedUnits& units_;
    const RankSums& sums_;
    OptimizerStep optimizer_;
    std::optional<UnitTransfers> transfers_;  // once a plan is attached
    ExposedTime exposed_, update_exposed_;    // within the plan's steps, which may be replayed, and behind them
    bool update_begun_ = false;               // order_update() is part of the run that comes
    Passes passes_{*this};
};

}  // namespace

std::unique_ptr<Strategy> make_sharded(const TrainConfig& config, ModelState& state, const RankSums& sums) {
    return std::make_unique<Sharded>(config, state, sums);
}

}  // namespace xbench
