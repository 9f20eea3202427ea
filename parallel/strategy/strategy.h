// How the parameters and their update are divided among the ranks. The training loop sees only this.
#pragma once

#include <cstdint>
#include <memory>

#include "core/config.h"
#include "parallel/comm/rank_sums.h"
#include "parallel/strategy/loss_scaler.h"
#include "parallel/strategy/model_state.h"

namespace xbench {

// What sharded parameters need in the passes of a step (parallel/train/micro_batches.h). Every rank
// runs the same number of passes; a rank with none left only joins the collectives.
class PassObserver : public StepObserver {
public:
    void all_reduce(double*, int64_t, int64_t) final {}  // the sums of a pass are nobody else's
    virtual void end_pass() = 0;                         // collective
};

// One training step is: run the plan with the strategy as observer, then update(); or run it several times, each with the
// observer of passes, where there is one.
class Strategy : public StepObserver {
public:
    // The plan that will be run, once, before the first step; it outlives the strategy. Collective.
    virtual void attach(const Plan&) {}
    virtual PassObserver* pass_observer() { return nullptr; }
    // Makes the gradients of all ranks into one update of the parameters.
    virtual void update(const StepContext& context) = 0;
    // The same in two halves, where the device alone decides on the way: what the host does first, and what goes into the
    // order of the device as part of the step, which may be recorded and replayed.
    virtual bool update_goes_into_order() const { return false; }
    virtual void begin_update(const StepContext&) {}
    virtual void order_update() {}
    virtual void end_update(const StepContext&) {}         // behind either, not recorded
    virtual LossScaler* loss_scaler() { return nullptr; }  // null: the loss is not scaled
    // Of all gradients in the last update, unscaled, before they were clipped; 0 where they are not, not finite where the
    // update was skipped. The same on every rank.
    virtual double gradient_norm() const { return 0; }
    // The average of the weights and of the running statistics (train.ema_decay, train.ema_statistics), where there is one:
    // it becomes what they are now; and the two change places, for an evaluation, until the next call. Collective.
    virtual void start_average() {}
    virtual void swap_average() {}
    virtual size_t state_bytes() const = 0;  // of the optimizer, on this rank
    // The optimizer's state as tensors named m0.<parameter> ..., ema.<parameter> and ema.<statistic>, whole on every rank
    // that calls it; collective.
    virtual std::vector<NamedTensor> save() const = 0;
    // Throws Error that lists what is missing or of another shape; `origin` names where it came from.
    virtual void load(const std::vector<NamedTensor>& moments, const std::string& origin) = 0;
    // Of gradients, as they are given to sums over ranks, in one step.
    virtual size_t summed_bytes() const { return 0; }
    // When gradients are reduced: none, inline or thread (parallel/strategy/gradient_buckets.h).
    virtual std::string overlap() const { return "none"; }
    // Whether a thread of it is in a collective that its peers may never come to; it must not be destroyed then.
    virtual bool stuck() const { return false; }
    // Nanoseconds that computing stood still for communication since the last call; on another device than the host's,
    // between the two calls before this one (parallel/strategy/exposed_time.h).
    virtual int64_t take_exposed_ns() = 0;
};

// DDP: every rank holds everything; gradients are all-reduced in buckets, and each rank makes the same update.
std::unique_ptr<Strategy> make_replicated(const TrainConfig& config, ModelState& state, const RankSums& sums);

// ZeRO: the state has units, split over the ranks as its stage says. The same weights as replicated, bit for bit, in the
// invariant mode.
std::unique_ptr<Strategy> make_sharded(const TrainConfig& config, ModelState& state, const RankSums& sums);

}  // namespace xbench
