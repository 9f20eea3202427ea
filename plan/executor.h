// Runs a plan: a team of threads walks the list of steps together, with a barrier after each. Inside a step nothing is
// allocated and nothing is decided.
//
// Blocks. If the leaves of a rank are not a subtree of the tree over all leaves (3 ranks and 8 leaves), its partial sums
// must leave the rank separately, one for each subtree. The executor then runs every kernel that works on images once per
// block of leaves, on the images of that block, and keeps the sums and parameter gradients of the blocks apart. One block is
// the usual case and costs nothing.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "core/memory.h"
#include "kernels/device.h"
#include "plan/plan.h"

namespace xbench {

// What a StepObserver may ask for, one number a step: 0, or a sum of these.
enum : uint8_t { hear_before_step = 1, hear_after_step = 2 };

// What an executor cannot do by itself. Called by one thread, in the order of the steps, while the rest of the team waits.
// An exception ends the run on all threads and leaves it.
class StepObserver {
public:
    virtual ~StepObserver() = default;
    // The steps of the plan about which it wants to hear; empty: none. Asked once a run.
    virtual std::span<const uint8_t> wanted_calls() const { return {}; }
    // Nothing of the step has begun. After an exception here it does not begin.
    virtual void before_step(size_t) {}
    // The step is done, for all of this rank's blocks.
    virtual void after_step(size_t) {}
    // Sums a statistic over all ranks and over this rank's blocks, of which block b lies at data + b * stride, into
    // data {count}.
    virtual void all_reduce(double* data, int64_t count, int64_t stride) = 0;
    // Whether everything that it does goes into the order of the device and is the same in every step, so that a device may
    // record it once.
    virtual bool may_be_recorded() const { return false; }
    // The run was replayed from such a record: nothing of it was called, and all of it happens.
    virtual void replayed() {}
    // all_reduce in two halves, between which steps run that do not read the sum (PlannedStep::goes_on, needs_sum): the data
    // are the observer's until end_all_reduce() has returned. One sum at a time.
    virtual void begin_all_reduce(double* data, int64_t count, int64_t stride) { all_reduce(data, count, stride); }
    virtual void end_all_reduce() {}
};

class Executor {
public:
    // All must outlive it. The plan is for the device's target and as many threads as it has.
    Executor(const Plan& plan, Device& device, MemoryLedger* ledger = nullptr);
    // From now on the leaves of a call come in blocks of so many each. `gradient_stride_bytes` lies between the blocks'
    // parameter gradients in the arena bound for them.
    void set_blocks(std::vector<int32_t> leaves_of_block, size_t gradient_stride_bytes);

    const Plan& plan() const { return plan_; }
    Device& device() const { return device_; }
    // Memory of the device that others own: parameters, gradients and state of the sizes in plan().parameters; 64-byte
    // aligned.
    void bind(Arena arena, void* base);
    // The parameters or gradients of this part of the flat buffer lie at `base` instead of in the memory bound for all.
    void bind_span(Arena arena, const FlatSpan& span, void* base);
    // Runs all steps on context.leaf_begin[context.leaves] images, at most the plan's max_batch; leaf_begin is the host's
    // and sample_ids the device's memory. Without an observer the sums of this rank are taken as the sums of all. step_ns,
    // when given, receives each step's time in nanoseconds, for which the host waits. `behind` is called after the last
    // step, by one thread: what it puts into the order of the device is kept with the steps where these are, and happens
    // with them.
    void run(const StepContext& context, StepObserver* observer = nullptr, std::vector<int64_t>* step_ns = nullptr,
             const std::function<void()>& behind = {});
    // What the device keeps of runs, which may hold calls of an observer's communicators: those are destroyed after it.
    void forget_recordings() { recordings_.clear(); }
    // A value's place in the device's memory now: valid until the next run, and only for values that are still alive at the
    // end of the step (logits, probabilities, loss, parameter gradients; every value of a naive plan).
    TensorView view(ValueId id) const;
    // A statistic's block: the value itself for block 0 of 1.
    TensorView view_block(ValueId id, int block) const;

private:
    // A block's view of the step.
    struct Block {
        int32_t first_leaf = 0, leaves = 0;
        int64_t first_image = 0, images = 0;
        std::vector<int32_t> leaf_begin;
        int32_t* device_leaf_begin = nullptr;   // what kernels read: a copy of it
        StepContext* device_context = nullptr;  // and of `context`; null where kernels read the host's
        StepContext context{};
        std::vector<KernelArgs> args;  // one a step
    };
    bool per_block(const PlannedStep& step) const;
    void find_block_sums();
    void set_block(Block& block, const StepContext& context);
    void set_batch(Block& block);
    std::unique_ptr<Device::Recording>& recording(bool with_more);
    void set_addresses(size_t block);
    char* start_of(ValueId id) const;
    void* address(ValueId id, size_t block) const;
    void walk(const Team& team, StepObserver* observer, bool timed);
    template <class Body>
    void run_recorded(Body&& body, StepObserver* observer, bool with_more);
    void run_step(size_t step, const Team& team, StepObserver* observer);
    void exchange(size_t step, StepObserver* observer);
    void end_exchange(StepObserver* observer);
    void keep_total(size_t step);
    template <class F>
    void call(size_t step, F&& observe);

    const Plan& plan_;
    Device& device_;
    AlignedBuffer activations_, workspace_;
    AlignedBuffer leaf_begin_;     // of all blocks
    AlignedBuffer contexts_;       // of all blocks; empty where kernels read the host's
    std::array<void*, 7> base_{};  // by Arena
    std::vector<void*> moved_;     // by value: where bind_span has put it, or null
    MemoryLedger* const ledger_;
    std::vector<Block> blocks_;
    size_t gradient_stride_bytes_ = 0;
    std::vector<int64_t> block_sums_;  // by value: where its blocks begin in block_memory_; negative: it has none
    size_t block_stride_bytes_ = 0;    // between the blocks
    AlignedBuffer block_memory_;       // of the statistics that kernels sum over images, when there are several blocks
    // By what may differ between steps of one plan at the same addresses: where each block begins and how many images and
    // leaves it has, and whether more comes behind the steps.
    std::map<std::vector<int64_t>, std::unique_ptr<Device::Recording>> recordings_;
    int64_t batch_ = -1;
    bool addresses_set_ = false;
    bool walked_ = false;                    // in this run, by the host
    size_t begun_sum_ = 0;                   // the last all_reduce that goes_on
    std::span<const uint8_t> wanted_calls_;  // of this run's observer
    std::vector<DeviceEvent> begin_, end_;   // of each step, of a run that is timed
    std::exception_ptr failure_;             // of an observer, in step failed_step_
    std::atomic<size_t> failed_step_{SIZE_MAX};
};

}  // namespace xbench
