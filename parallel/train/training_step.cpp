// Putting a training step together, and running it.
#include "parallel/train/training_step.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "core/error.h"
#include "core/virtual_ranks.h"
#include "parallel/train/health.h"
#include "parallel/train/inference.h"
#include "parallel/train/learning_rate.h"

namespace xbench {
namespace {

using Clock = std::chrono::steady_clock;

// The instruction set that every rank has: other kernels round differently.
Isa common_isa(Isa mine, ControlPlane& communicator) {
    double lowest = -static_cast<double>(mine);
    communicator.all_reduce_max(&lowest, 1);
    return static_cast<Isa>(static_cast<int>(-lowest));
}

RankSums sums_for(const TrainConfig& config, Communicator& communicator) {
    check_ranks(config, communicator.size());
    return {communicator, config.reduction == "fast" ? Reduction::fast : Reduction::invariant,
            leaves_of_batch(config, communicator.size())};
}

std::optional<HybridGroups> groups_for(const TrainConfig& config, Communicator& communicator, int stage) {
    if (!config.hybrid_sharding || stage == 0) return std::nullopt;
    return std::optional<HybridGroups>(std::in_place, communicator);
}

RankPlace place_for(const TrainConfig& config, Communicator& communicator, const HybridGroups* groups,
                    const TrainingStepOptions& options) {
    RankPlace place = place_on(communicator, config, options.stage, groups ? groups->ranks() : 0);
    place.isa = common_isa(options.isa, communicator);
    place.threads = options.threads;
    place.most_images = options.most_images;
    place.forced = options.forced;
    return place;
}

}  // namespace

TrainingStep::TrainingStep(Graph graph, const TrainConfig& config, Communicator& communicator,
                           const TrainingStepOptions& options)
    : config_(config),
      communicator_(communicator),
      graph_(std::move(graph)),
      sums_(sums_for(config, communicator)),
      groups_(groups_for(config, communicator, options.stage)),
      place_(place_for(config, communicator, groups_ ? &*groups_ : nullptr, options)),
      rank_plan_(xbench::rank_plan(graph_, config, place_)),
      state_(graph_, sums_, plan(), rank_plan_.passes.slots, sharding(), options.ledger),
      executor_(plan(), options.ledger),
      strategy_((place_.stage == 0 ? make_replicated : make_sharded)(config, state_, sums_, place_.isa, place_.threads)) {
    state_.initialize(config.seed);
    state_.set_positive_weights(config.pos_weight);
    state_.bind_to(executor_);
    if (rank_plan_.passes.several())
        micro_batches_.emplace(rank_plan_.passes, state_, sums_, strategy_->pass_observer(), place_.isa, place_.threads);
    else
        executor_.set_blocks(sums_.leaves_of_block, state_.gradient_stride * sizeof(float));
    strategy_->attach(plan());
    context_.seed = config.seed;
    context_.later_rank = communicator.rank() > 0;
}

Sharding TrainingStep::sharding() const {
    Sharding how = groups_ ? groups_->sharding(place_.stage, place_.overlapped)
                           : Sharding{place_.stage, nullptr, nullptr, place_.overlapped};
    how.common_parameters = place_.shares_update;
    how.several_passes = rank_plan_.passes.several();
    return how;
}

void TrainingStep::compute(const Batch& batch, std::vector<int64_t>* plan_step_ns) {
    bind_batch(batch, executor_, context_);
    context_.learning_rate = static_cast<float>(learning_rate_at(config_, context_.step));
    context_.update = context_.step + 1;
    communicator_.wait_limit()->step = context_.update;
    if (micro_batches_)
        losses_of_pass_ = &micro_batches_->run(batch, executor_, context_);
    else
        executor_.run(context_, strategy_.get(), plan_step_ns);
}

double TrainingStep::loss(int block) const {
    if (losses_of_pass_) return (*losses_of_pass_)[static_cast<size_t>(block)];
    return *executor_.view_block(plan().graph.output("loss"), block).as<double>();
}

void TrainingStep::update() {
    strategy_->update(context_);
    ++context_.step;
}

void TrainingStep::check_losses() const {
    for (int block = 0; block < sums_.blocks(); ++block) {
        if (std::isfinite(loss(block))) continue;
        check_finite(state_, context_.step + 1, communicator_.rank());  // names the layer where one shows it
        throw Error(fmt::format("the loss is {} on rank {}", loss(block), communicator_.rank()),
                    fmt::format("training step {}", context_.step + 1), "lower the learning rate");
    }
}

void TrainingStep::run(const Batch& batch, std::vector<int64_t>* plan_step_ns) {
    compute(batch, plan_step_ns);
    check_losses();
    const auto before_update = Clock::now();
    update();
    if (plan_step_ns) plan_step_ns->push_back(std::chrono::nanoseconds(Clock::now() - before_update).count());
    const int64_t every = config_.check_steps;
    if (every > 0 && context_.step % static_cast<uint32_t>(every) == 0) {
        check_finite(state_, context_.step, communicator_.rank());
        check_replicas(state_, context_.step, communicator_);
    }
}

int64_t TrainingStep::take_exposed_ns() {
    return strategy_->take_exposed_ns() + (micro_batches_ ? micro_batches_->take_exposed_ns() : 0);
}

}  // namespace xbench
