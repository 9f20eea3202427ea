// The gradients in buckets: contiguous ranges of the flat buffer, in the order in which the backward pass completes them,
// and the time at which each is reduced over the ranks.
//
//   none    after the backward pass, one after the other
//   inline  by the computing thread, as soon as a bucket is complete: its gradients are still in the cache
//   thread  by a thread of its own on a channel of its own (Communicator::channel), during the backward pass; where
//           communication only goes into the order of a device, in an order of its own and by the computing thread
//           ("stream")
//   fused   not in buckets, but by the pass that updates the parameters (parallel/strategy/fused_update.h)
//
// All ranks have the same buckets and reduce them in the same order. Sums are element by element, so that every mode gives
// the same bits.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/communicator.h"
#include "core/config.h"
#include "parallel/comm/communication_thread.h"
#include "plan/executor.h"

namespace xbench {

enum class Overlap { none, inline_, thread, fused };

// What train.overlap means for replicas on this communicator: "auto" is fused where they share memory and sums are not
// compressed nor clipped, thread where something else than this core moves the bytes, else inline (ADR 11). Throws
// UsageError where the communicator cannot do what was asked for.
Overlap overlap_of_replicas(const TrainConfig& config, const Communicator& communicator);
// The same for shards, which have no fused update.
Overlap overlap_of_shards(const TrainConfig& config, const Communicator& communicator);
// PlanOptions::hide_sums of replicas that share the update (Overlap::fused). Not of others: buckets of gradients should
// rather be complete early, and inline ones would come between; nor with activation checkpointing, where what a filter's
// gradient reads is short-lived.
bool hides_sums(const TrainConfig& config);
const char* name_of(Overlap overlap);

struct Bucket {
    FlatSpan span;
    size_t step;  // complete when this step of the plan is done
};
// Of about an eighth of the gradients each, but at least 64 KiB (4 KiB for a thread, which stops nobody) and at most 4 MiB.
std::vector<Bucket> cut_buckets(const Plan& plan, Overlap when);

class BucketReducer {
public:
    // Sums bucket number `bucket` over all ranks, through this communicator.
    using Reduce = std::function<void(size_t bucket, Communicator& over)>;
    // The device, which computes the steps, and the communicator outlive it.
    BucketReducer(Overlap when, Device& device, Communicator& communicator, std::vector<Bucket> buckets, size_t steps,
                  Reduce reduce);
    // Not to be destroyed while it is stuck().

    const std::vector<Bucket>& buckets() const { return buckets_; }
    std::span<const uint8_t> wanted_calls() const { return calls_; }  // of the StepObserver that owns it
    // Where communication goes into the order of the device, all buckets are reduced when the last step of the plan is over,
    // so that a device may record the steps; replayed() is told where it did.
    void after_step(size_t step);
    void replayed() { all_done_ = !calls_.empty(); }
    // Until all buckets are reduced, those included that no step has completed. Throws what reducing has thrown.
    void finish();
    bool has_own_order() const { return thread_ && goes_into_order_; }
    // Another sum over ranks, inside of a step: behind the buckets that are under way, where these have an order of their
    // own.
    template <class F>
    void sum_beside(F&& sum) {
        if (has_own_order())
            thread_->in_between([&] { sum(*channel_); });
        else
            sum(communicator_);
    }
    // Whether the thread is in a collective that its peers may never come to: only aborting the job ends that.
    bool stuck() const { return thread_ && thread_->stuck(); }

private:
    void advance(size_t ready);
    void reduce_the_rest();

    Communicator& communicator_;
    const bool goes_into_order_;
    const std::vector<Bucket> buckets_;
    const Reduce reduce_;
    std::vector<uint8_t> calls_;
    size_t ready_ = 0, done_ = 0;            // buckets of this step that are complete, reduced (without a thread)
    bool all_done_ = false;                  // of this step, within it
    std::unique_ptr<Device> order_;          // of the thread
    std::unique_ptr<Communicator> channel_;  // of the thread
    std::optional<CommunicationThread> thread_;
};

}  // namespace xbench
