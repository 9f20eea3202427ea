// Training steps of any graph on one rank of many, without the training loop: its plan, memory, strategy and a share of
// random batches.
#pragma once

#include <memory>
#include <vector>

#include "core/hardware.h"
#include "core/rng.h"
#include "data/load/loader.h"
#include "parallel/strategy/gradient_buckets.h"
#include "parallel/strategy/strategy.h"

namespace xbench::test {

class RankSteps {
public:
    RankSteps(const Graph& graph, Communicator& communicator, const Sharding& sharding, MemoryLedger* ledger = nullptr,
              bool activation_checkpointing = false, int64_t batch = 8, int64_t leaves = 8)
        : sums_(communicator, Reduction::invariant, leaves),
          share_(leaves_of_rank(leaves, communicator.rank(), communicator.size())),
          first_(leaf_start(share_.first, batch, leaves)),
          plan_(compile(graph, Target{usable_isa()}, options(batch, leaves, activation_checkpointing))),
          state_(graph, sums_, plan_, sums_.most_blocks, with_replicas(sharding, communicator), ledger),
          executor_(plan_, ledger),
          strategy_((sharding.stage == 0 ? make_replicated : make_sharded)(config_, state_, sums_, usable_isa(), 1)) {
        state_.initialize(1);
        executor_.set_blocks(sums_.leaves_of_block, state_.gradient_stride * sizeof(float));
        strategy_->attach(plan_);
        state_.bind_to(executor_);
        make_batch(graph, batch, leaves);
        context_.later_rank = communicator.rank() > 0;
        context_.learning_rate = 0.01f;
    }

    void step() {
        context_.update = context_.step + 1;
        executor_.run(context_, strategy_.get());
        strategy_->update(context_);
        ++context_.step;
    }
    const Plan& plan() const { return plan_; }
    ModelState& state() { return state_; }
    Strategy& strategy() { return *strategy_; }

private:
    Sharding with_replicas(Sharding how, const Communicator& communicator) const {
        how.common_parameters = how.stage == 0 && overlap_of_replicas(config_, communicator) == Overlap::fused;
        return how;
    }
    PlanOptions options(int64_t batch, int64_t leaves, bool activation_checkpointing) const {
        PlanOptions plan;
        plan.max_batch = leaf_start(share_.first + share_.count, batch, leaves) - first_;
        plan.leaves = static_cast<int>(share_.count);
        plan.activation_checkpointing = activation_checkpointing;
        return plan;
    }
    // The same images on any number of ranks.
    void make_batch(const Graph& graph, int64_t batch, int64_t leaves) {
        Random random(7, RandomUse::test_data);
        const int64_t pixels = graph.value(graph.input).shape.elements();
        for (int64_t i = 0; i < batch * pixels; ++i) images_.push_back(random.uniform(-1, 1));
        for (int64_t i = 0; i < batch; ++i) {
            labels_.push_back(static_cast<int32_t>(i % 3));
            ids_.push_back(i);
        }
        for (int64_t v = 0; v <= share_.count; ++v)
            leaf_begin_.push_back(static_cast<int32_t>(leaf_start(share_.first + v, batch, leaves) - first_));
        executor_.bind(Arena::input, images_.data() + first_ * pixels);
        executor_.bind(Arena::label, labels_.data() + first_);
        context_.leaf_begin = leaf_begin_.data();
        context_.leaves = static_cast<int32_t>(share_.count);
        context_.sample_ids = ids_.data() + first_;
        context_.global_batch = batch;
        context_.inverse_batch = 1.0 / static_cast<double>(batch);
    }

    const TrainConfig config_{};
    const RankSums sums_;
    const LeafBlock share_;
    const int64_t first_;  // image of the batch
    const Plan plan_;
    ModelState state_;
    Executor executor_;
    std::unique_ptr<Strategy> strategy_;
    std::vector<float> images_;
    std::vector<int32_t> labels_, leaf_begin_;
    std::vector<int64_t> ids_;
    StepContext context_{};
};

}  // namespace xbench::test
