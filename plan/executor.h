// Runs a plan: a team of threads walks the list of steps together, with a barrier after each. Nothing is allocated and no
// decision is made inside a step.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <exception>
#include <vector>

#include "core/memory.h"
#include "plan/plan.h"

namespace xbench {

// What an executor cannot do by itself. Called by one thread, in the order of the steps.
class StepObserver {
public:
    virtual ~StepObserver() = default;
    // Sums a statistic over all ranks: data {count} in place.
    virtual void all_reduce(double* data, int64_t count) = 0;
};

class Executor {
public:
    explicit Executor(const Plan& plan);  // the plan must outlive it

    const Plan& plan() const { return plan_; }
    // Memory that others own: parameters, gradients and state of the sizes in plan().parameters; 64-byte aligned.
    void bind(Arena arena, void* base);
    // Runs all steps on context.leaf_begin[context.leaves] images, at most the plan's max_batch. Without an observer the
    // sums of this rank are taken as the sums of all. step_ns, when given, receives each step's time in nanoseconds.
    void run(const StepContext& context, StepObserver* observer = nullptr, std::vector<int64_t>* step_ns = nullptr);
    // A value's memory now: valid until the next run, and only for values that are still alive at the end of the step
    // (logits, probabilities, loss, parameter gradients; every value of a naive plan).
    TensorView view(ValueId id) const;

private:
    void set_batch(int64_t images);
    void set_addresses();
    void walk(const Team& team, StepObserver* observer, std::vector<int64_t>* step_ns);
    void exchange(size_t step, StepObserver* observer);

    const Plan& plan_;
    AlignedBuffer activations_, workspace_;
    std::array<void*, 7> base_{};   // by Arena
    std::vector<KernelArgs> args_;  // one a step
    const StepContext* context_ = nullptr;
    int64_t batch_ = -1;
    bool addresses_set_ = false;
    std::exception_ptr failure_;  // of an observer, in step failed_step_
    std::atomic<size_t> failed_step_{SIZE_MAX};
};

}  // namespace xbench
