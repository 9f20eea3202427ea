// The memory of a model whose training state is split over ranks (ZeRO: Rajbhandari et al., SC 2020), and how its units
// become whole. Of the flat parameters this rank keeps its own shards of
//   stage 1   the optimizer's moments                     (parameters and gradients are whole, in ModelState)
//   stage 2   moments and gradients                       (parameters are whole)
//   stage 3   moments, gradients and parameters
// where several passes over a batch (parallel/train/micro_batches.h) add gradients up, these stay whole, in ModelState.
// What is kept in shards lies whole in a slot while the steps of a plan need it; a slot is used by unit after unit.
//
// Hybrid sharding (Zhao et al., PyTorch FSDP, VLDB 2023): shards are split over the ranks of a group, a node, and every
// group has all of them. Gathering then stays inside the group; gradients are also summed between groups.
#pragma once

#include <memory>
#include <optional>

#include "core/memory.h"
#include "parallel/comm/communication_thread.h"
#include "parallel/comm/rank_sums.h"
#include "parallel/strategy/shards.h"
#include "plan/executor.h"

namespace xbench {

// How far, and over whom. Groups have the same number of ranks, and the ranks of a group are consecutive.
struct Sharding {
    int stage = 0;                     // 0: nothing is split
    Communicator* group = nullptr;     // the ranks that a shard is split over; null: all
    Communicator* replicas = nullptr;  // the ranks with the same shard as this one, one of each group; null: no other has it
    bool overlapped = false;           // units are gathered and reduced by a thread, while the steps of others run
    bool common_parameters = false;  // stage 0: the ranks have one copy of the parameters (parallel/strategy/fused_update.h)
    bool several_passes = false;     // gradients stay whole in any stage: the passes over a batch add them up
};

// Who talks to whom, on the channel of one thread, and the order of the device in which it happens.
struct ShardLines {
    Device& device;
    Communicator& all;
    Communicator& group;
    Communicator* replicas;  // or null
};

class ShardedUnits {
public:
    // Collective. All arguments must outlive it.
    ShardedUnits(const Plan& plan, Device& device, const RankSums& sums, const Sharding& how, MemoryLedger* ledger);

    int stage() const { return how_.stage; }
    bool whole_gradients() const { return how_.stage < 2 || how_.several_passes; }  // in ModelState
    bool whole_parameters() const { return how_.stage < 3; }
    const Shards& shards() const { return shards_; }
    const UnitSchedule& schedule() const { return schedule_; }
    size_t gradient_stride() const { return gradient_stride_; }  // elements between the blocks of a slot of gradients
    Communicator& group() const { return how_.group ? *how_.group : sums_.communicator; }
    Communicator* replicas() const { return how_.replicas; }
    ShardLines lines() const { return {device_, sums_.communicator, group(), how_.replicas}; }  // of the computing thread
    bool overlapped() const { return how_.overlapped; }
    bool several_passes() const { return how_.several_passes; }

    // This rank's part of a unit's parameters, or gradients, where they are not whole.
    float* parameters(size_t unit) const { return parameters_.as<float>() + shards_.units[unit].at; }
    float* gradients(size_t unit) const { return gradients_.as<float>() + shards_.units[unit].at; }

    // Stage 3: makes the unit's parameters whole in a slot, and returns it. Collective over the group.
    float* gather(size_t unit, int slot) const { return gather(unit, slot, lines()); }
    float* gather(size_t unit, int slot, const ShardLines& over) const;
    float* slot(int slot) const { return parameter_slots_.as<float>() + static_cast<size_t>(slot) * shards_.largest_unit; }
    void keep_own(size_t unit, const float* whole) const;  // the opposite: this rank's part becomes its shard

    // Gradients in slots: sums the unit's over all ranks and keeps this rank's part. Collective.
    void reduce_gradients(size_t unit, const ShardLines& over) const;
    // Sums whole gradients {blocks}{unit} over all ranks; this rank's part is then in the first block. Collective.
    void reduce_scatter(size_t unit, float* whole, size_t stride, const ShardLines& over) const;

    // The slots of the executor's parameters and, where its plan has them, gradients.
    void bind_to(Executor& executor) const;

private:
    float* gradient_slot(size_t unit) const;
    bool sums_by_groups() const;

    Device& device_;
    const RankSums& sums_;
    const Sharding how_;
    const Shards shards_;
    const UnitSchedule schedule_;  // of the training plan
    size_t gradient_stride_ = 0;
    const bool by_groups_;
    AlignedBuffer parameters_, gradients_;            // own shards
    AlignedBuffer parameter_slots_, gradient_slots_;  // whole units
};

// Communicates along the steps of a plan what plan_transfers says, by the calling thread or by one beside it. In the
// thread's mode the second slot of a pair is filled, or emptied, while the unit of the first is computed.
class UnitTransfers : public StepObserver {
public:
    // Of the training plan, with the whole gradients {blocks}{flat} of stage 1, or without any where several passes make
    // them; or of an evaluation, which has none and takes no thread. Collective.
    enum class Of { step, pass, evaluation };
    UnitTransfers(const Plan& plan, const ShardedUnits& units, Of what, float* whole_gradients = nullptr,
                  size_t gradient_stride = 0);

    std::span<const uint8_t> wanted_calls() const override { return wanted_; }
    void before_step(size_t step) override;
    void after_step(size_t step) override;
    // As of BucketReducer: where communication goes into the order of the device, a step holds all of its transfers.
    void replayed() override { all_done_ = true; }
    bool has_own_order() const { return thread_ && goes_into_order_; }
    template <class F>
    void sum_beside(F&& sum) {
        if (has_own_order())
            thread_->in_between([&] { sum(*all_); });
        else
            sum(units_.lines().all);
    }
    void all_reduce(double*, int64_t, int64_t) override {}   // evaluations and passes have no sums over ranks
    void finish();                                           // all that no step has asked for; then a step may begin
    size_t reduced_bytes() const { return reduced_bytes_; }  // of gradients, in one step
    bool stuck() const { return thread_ && thread_->stuck(); }

private:
    void advance(size_t allowed, size_t needed);
    void transfer(size_t number, const ShardLines& over);
    void finish_here();

    const ShardedUnits& units_;
    const TransferPlan plan_;
    float* const whole_gradients_;
    const size_t gradient_stride_;
    size_t reduced_bytes_ = 0;
    std::vector<uint8_t> wanted_;
    const bool goes_into_order_;
    bool all_done_ = false;                                 // of this step, within it
    size_t done_ = 0;                                       // without a thread
    std::unique_ptr<Device> order_;                         // of the thread
    std::unique_ptr<Communicator> all_, group_, replicas_;  // channels of the thread; group_ and replicas_ where hybrid
    std::optional<CommunicationThread> thread_;
};

}  // namespace xbench
