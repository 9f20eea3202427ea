// The sharded strategy, ZeRO stages 1 to 3 (parallel/sharded_units.h says what each keeps).
//
//   stage   after a unit's backward steps     update()                          before a unit's steps
//   1       -                                 reduce-scatter, update, gather    -
//   2       reduce-scatter into the shard     update, gather                    -
//   3       reduce-scatter into the shard     update                            gather
//
// The sums are those of DDP, element by element, so the weights are too, bit for bit.
#include <algorithm>

#include "parallel/exposed_time.h"
#include "parallel/optimizer_step.h"
#include "parallel/strategy.h"

namespace xbench {
namespace {

// Where the parameters and gradients of this rank's shards lie.
std::vector<OptimizerPart> own_parts(const ModelState& state) {
    const ShardedUnits& units = *state.units;
    std::vector<OptimizerPart> parts;
    for (size_t u = 0; u < units.shards().units.size(); ++u) {
        const ShardUnit& unit = units.shards().units[u];
        float* const gradients = units.stage() >= 2 ? units.gradients(u) : state.gradients.as<float>() + unit.own.begin;
        float* const parameters = units.stage() >= 3 ? units.parameters(u) : state.parameters.as<float>() + unit.own.begin;
        parts.push_back({gradients, parameters, unit.own_elements()});
    }
    return parts;
}

class Sharded final : public Strategy {
public:
    Sharded(const TrainConfig& config, ModelState& state, const RankSums& sums, Isa isa, int threads)
        : state_(state),
          units_(*state.units),
          sums_(sums),
          optimizer_(config, own_parts(state), isa, threads, state.ledger) {}

    void attach(const Plan& plan) override {
        wanted_.assign(plan.steps.size(), 0);
        if (units_.stage() >= 3) {
            gatherer_.emplace(plan, units_);
            const auto reads = gatherer_->wanted_calls();
            std::copy(reads.begin(), reads.end(), wanted_.begin());
        }
        if (units_.stage() >= 2)
            for (const size_t step : units_.schedule().reduced_after)
                wanted_[step] = static_cast<uint8_t>(wanted_[step] | hear_after_step);
    }
    std::span<const uint8_t> wanted_calls() const override { return wanted_; }
    void before_step(size_t step) override {
        exposed_.time([&] { gatherer_->before_step(step); });
    }
    void after_step(size_t step) override {
        const auto& ready = units_.schedule().reduced_after;
        for (size_t unit = 0; unit < ready.size(); ++unit)
            if (ready[unit] == step) exposed_.time([&] { units_.reduce_gradients(unit); });
    }
    void all_reduce(double* data, int64_t count, int64_t stride) override {
        exposed_.time([&] { sums_.sum(data, static_cast<size_t>(count), static_cast<size_t>(stride)); });
    }

    void update(const StepContext& context) override {
        const auto& units = units_.shards().units;
        for (size_t u = 0; u < units.size() && units_.stage() == 1; ++u)
            exposed_.time([&] {
                units_.reduce_scatter(u, state_.gradients.as<float>() + units[u].span.begin, state_.gradient_stride);
            });
        optimizer_.run(context);
        for (size_t u = 0; u < units.size() && units_.stage() < 3; ++u)
            exposed_.time([&] {
                units_.group().all_gather(state_.parameters.as<float>() + units[u].span.begin, units[u].elements());
            });
    }

    // The ranks' shards put together, so that a checkpoint is the same for any strategy and number of ranks.
    std::vector<NamedTensor> save() const override {
        std::vector<AlignedBuffer> whole = whole_moments();
        std::vector<const float*> flat;
        for (int m = 0; m < optimizer_.moments(); ++m) {
            float* const all = whole[static_cast<size_t>(m)].as<float>();
            for (const ShardUnit& unit : units_.shards().units) {
                std::copy_n(optimizer_.moment(m) + unit.at, unit.own_elements(), all + unit.own.begin);
                units_.group().all_gather(all + unit.span.begin, unit.elements());
            }
            flat.push_back(all);
        }
        return name_moments(state_, flat);
    }
    void load(const std::vector<NamedTensor>& moments, const std::string& origin) override {
        std::vector<AlignedBuffer> whole = whole_moments();
        std::vector<float*> flat;
        for (const AlignedBuffer& buffer : whole) flat.push_back(buffer.as<float>());
        find_moments(state_, moments, origin, flat);
        for (int m = 0; m < optimizer_.moments(); ++m)
            for (const ShardUnit& unit : units_.shards().units)
                std::copy_n(flat[static_cast<size_t>(m)] + unit.own.begin, unit.own_elements(),
                            optimizer_.moment(m) + unit.at);
    }
    size_t state_bytes() const override { return optimizer_.bytes(); }
    int64_t take_exposed_ns() override { return exposed_.take(); }

private:
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
    std::optional<UnitGatherer> gatherer_;  // in stage 3, once a plan is attached
    std::vector<uint8_t> wanted_;
    ExposedTime exposed_;
};

}  // namespace

std::unique_ptr<Strategy> make_sharded(const TrainConfig& config, ModelState& state, const RankSums& sums, Isa isa,
                                       int threads) {
    return std::make_unique<Sharded>(config, state, sums, isa, threads);
}

}  // namespace xbench
