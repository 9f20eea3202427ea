// The sharded strategy, ZeRO stages 1 to 3 (parallel/sharded_units.h says what each keeps).
//
//   stage   after a unit's backward steps     update()          before a unit's steps
//   1       reduce-scatter in place           update, gather    -
//   2       reduce-scatter into the shard     update, gather    -
//   3       reduce-scatter into the shard     update            gather
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
        const bool whole = units_.stage() == 1;
        transfers_.emplace(plan, units_, true, whole ? state_.gradients.as<float>() : nullptr, state_.gradient_stride);
    }
    std::span<const uint8_t> wanted_calls() const override { return transfers_->wanted_calls(); }
    void before_step(size_t step) override {
        exposed_.time([&] { transfers_->before_step(step); });
    }
    void after_step(size_t step) override {
        exposed_.time([&] { transfers_->after_step(step); });
    }
    void all_reduce(double* data, int64_t count, int64_t stride) override {
        exposed_.time([&] { sums_.sum(data, static_cast<size_t>(count), static_cast<size_t>(stride)); });
    }

    void update(const StepContext& context) override {
        exposed_.time([&] { transfers_->finish(); });
        optimizer_.run(context);
        if (units_.stage() >= 3) return;
        exposed_.time([&] {
            for (const ShardUnit& unit : units_.shards().units)
                units_.group().all_gather(state_.parameters.as<float>() + unit.span.begin, unit.elements());
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
    size_t summed_bytes() const override { return transfers_->reduced_bytes() * static_cast<size_t>(sums_.blocks()); }
    std::string overlap() const override {
        return sums_.communicator.size() == 1 ? "none" : units_.overlapped() ? "thread" : "inline";
    }
    bool stuck() const override { return transfers_ && transfers_->stuck(); }
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
    std::optional<UnitTransfers> transfers_;  // once a plan is attached
    ExposedTime exposed_;
};

}  // namespace

std::unique_ptr<Strategy> make_sharded(const TrainConfig& config, ModelState& state, const RankSums& sums, Isa isa,
                                       int threads) {
    return std::make_unique<Sharded>(config, state, sums, isa, threads);
}

}  // namespace xbench
