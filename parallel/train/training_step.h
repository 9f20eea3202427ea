// One training step of one rank and all that it needs: graph, plan, state, executor, strategy and passes over the leaves.
// The trainer, `xbench step` and the tests all run this one: what is timed or compared is what trains.
//
// A step is compute(), which runs the plan (once, or once per pass) and leaves this rank's gradients and losses, and
// update(), which turns the gradients of all ranks into one update of the parameters. Neither allocates anything. On a
// device that records steps and replays them, run() gives it both as one, where nothing but the device decides about the
// update.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/communicator.h"
#include "core/config.h"
#include "data/load/loader.h"
#include "parallel/comm/arrival_log.h"
#include "parallel/comm/rank_sums.h"
#include "parallel/strategy/hybrid_groups.h"
#include "parallel/strategy/model_state.h"
#include "parallel/strategy/strategy.h"
#include "parallel/train/device_batch.h"
#include "parallel/train/health.h"
#include "parallel/train/late_losses.h"
#include "parallel/train/learning_rate.h"
#include "parallel/train/micro_batches.h"
#include "parallel/train/rank_plan.h"
#include "plan/executor.h"

namespace xbench {

struct TrainingStepOptions {
    int stage = 0;                   // of ZeRO
    int64_t most_images = 0;         // RankPlace::most_images
    int64_t batches = 1;             // steps of an epoch, for the learning rate's schedule
    std::vector<Choice> forced{};    // implementations asked for by name
    MemoryLedger* ledger = nullptr;  // counts everything; outlives the step
    ArrivalLog* arrivals = nullptr;  // is told when a step has computed; outlives the step
};

class TrainingStep {
public:
    // Collective. Configuration, communicator and device outlive it. The device computes as the least of all ranks' does
    // from now on. Weights are those of config.seed. Throws UsageError where the configuration asks for what the device
    // does not do.
    TrainingStep(Graph graph, const TrainConfig& config, Communicator& communicator, Device& device,
                 const TrainingStepOptions& options = {});
    ~TrainingStep() { executor_.forget_recordings(); }
    TrainingStep(const TrainingStep&) = delete;
    TrainingStep& operator=(const TrainingStep&) = delete;

    // A step's losses, each a sum over the images of one of this rank's blocks of leaves.
    struct Losses {
        int64_t batch, images;  // which of the epoch; here
        std::span<const double> of_block;
    };
    // Called with the losses of each step of run(), in their order, as soon as the host has them: within run(), or within
    // the next step's where the device does not compute on the host.
    void hear_losses(std::function<void(const Losses&)> heard) { heard_ = std::move(heard); }
    void wait_for_losses() { read_losses(0); }  // of all steps so far

    // One step on this rank's share of a batch, which may change afterwards. Throws Error that names step, rank and, where
    // it can, the tensor when a number is not finite, as soon as the loss is known. Collective. plan_step_ns receives the
    // time of each step of the plan, then of the update.
    void run(const Batch& batch, std::vector<int64_t>* plan_step_ns = nullptr);
    // Its halves, without the checks.
    void compute(const Batch& batch, std::vector<int64_t>* plan_step_ns = nullptr);
    void update();

    // Sum over the images of one of this rank's blocks of leaves, of the last compute(), for which it waits.
    double loss(int block);
    uint32_t done() const { return context_.step; }  // steps
    void set_done(uint32_t steps) { context_.step = steps; }

    const ScheduleState& schedule() const { return schedule_; }
    void set_reductions(int64_t reductions) { schedule_.reductions = reductions; }

    const Graph& graph() const { return graph_; }
    const RankPlace& place() const { return place_; }
    const RankPlan& rank_plan() const { return rank_plan_; }
    const Plan& plan() const { return rank_plan_.training; }
    const RankSums& sums() const { return sums_; }
    const char* communicator() const { return communicator_.name(); }  // over which tensors go
    const Executor& executor() const { return executor_; }
    Device& device() const { return device_; }
    ModelState& state() { return state_; }
    const ModelState& state() const { return state_; }
    Checked checked() const;  // of the numbers that check_finite looks at
    Strategy& strategy() { return *strategy_; }
    const Strategy& strategy() const { return *strategy_; }
    LossScaler* loss_scaler() { return strategy_->loss_scaler(); }  // null: the loss is not scaled
    // After a failure, before it is destroyed: nothing waits any more for what the ranks have under way.
    void abandon() noexcept { communicator_.abandon(); }
    int64_t take_exposed_ns();  // Strategy::take_exposed_ns, that of the passes included

private:
    Sharding sharding() const;
    void begin(const Batch& batch);
    void compute_whole(const Batch& batch);
    void send_losses(const Batch& batch);
    std::span<const double> of_blocks(const double* sent);
    void read_losses(size_t but);
    void check_loss(double loss, uint32_t step) const;
    void check_loss_scale(const double* sent, uint32_t step) const;

    const TrainConfig& config_;
    ArrivalLog* const arrivals_;
    Device& device_;
    const std::unique_ptr<Communicator> staged_;  // where the ranks' communicator does not see the device's memory
    Communicator& communicator_;
    const Graph graph_;
    const RankSums sums_;
    std::optional<HybridGroups> groups_;  // with hybrid sharding
    const RankPlace place_;
    const RankPlan rank_plan_;
    ModelState state_;
    Executor executor_;
    DeviceBatch batch_;
    std::unique_ptr<Strategy> strategy_;
    std::optional<MicroBatches> micro_batches_;  // where there are several passes
    const size_t loss_numbers_;                  // of a step; where the loss is scaled, the state of that lies behind them
    LateLosses losses_;
    std::function<void(const Losses&)> heard_;
    StepContext context_{};
    ScheduleState schedule_;
};

}  // namespace xbench
