// The walk over the steps.
#include "plan/executor.h"

#include <chrono>
#include <cstring>

#include "core/error.h"
#include "kernels/team.h"

namespace xbench {
namespace {

int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Executor::Executor(const Plan& plan)
    : plan_(plan), activations_(plan.activation_bytes), workspace_(plan.workspace_bytes), args_(plan.steps.size()) {
    base_[static_cast<size_t>(Arena::activations)] = activations_.data();
    for (size_t i = 0; i < args_.size(); ++i) {
        static_cast<Problem&>(args_[i]) = plan.steps[i].problem;
        args_[i].workspace = workspace_.data();
    }
}

void Executor::bind(Arena arena, void* base) {
    if (base_[static_cast<size_t>(arena)] == base) return;
    base_[static_cast<size_t>(arena)] = base;
    addresses_set_ = false;
}

TensorView Executor::view(ValueId id) const {
    const PlannedValue& value = plan_.values[static_cast<size_t>(id)];
    TensorView view;
    view.data = static_cast<char*>(base_[static_cast<size_t>(value.arena)]) + value.offset_bytes;
    view.dtype = value.dtype;
    view.layout = value.layout;
    view.shape = value.shape;
    if (batch_ >= 0 && plan_.graph.values[static_cast<size_t>(id)].batched()) view.shape[0] = batch_;
    return view;
}

void Executor::set_addresses() {
    for (size_t i = 0; i < args_.size(); ++i) {
        const Node& node = plan_.graph.nodes[static_cast<size_t>(plan_.steps[i].node)];
        const auto assign = [&](const std::vector<ValueId>& ids, KernelTensor* tensors) {
            for (size_t k = 0; k < ids.size(); ++k) {
                if (ids[k] == no_value) continue;
                const PlannedValue& value = plan_.values[static_cast<size_t>(ids[k])];
                void* base = base_[static_cast<size_t>(value.arena)];
                if (!base) throw Error("an arena is not bound", "executor, layer " + node.name);
                tensors[k].data = static_cast<char*>(base) + value.offset_bytes;
            }
        };
        assign(node.in, args_[i].in);
        assign(node.out, args_[i].out);
    }
    addresses_set_ = true;
}

void Executor::set_batch(int64_t images) {
    if (images > plan_.options.max_batch)
        throw Error("a batch of " + std::to_string(images) + " images does not fit a plan for " +
                        std::to_string(plan_.options.max_batch),
                    "executor");
    batch_ = images;
    for (size_t i = 0; i < args_.size(); ++i) {
        const Node& node = plan_.graph.nodes[static_cast<size_t>(plan_.steps[i].node)];
        for (size_t k = 0; k < node.in.size(); ++k)
            if (node.in[k] != no_value && plan_.graph.values[static_cast<size_t>(node.in[k])].batched())
                args_[i].in[k].dim[0] = images;
        for (size_t k = 0; k < node.out.size(); ++k)
            if (plan_.graph.values[static_cast<size_t>(node.out[k])].batched()) args_[i].out[k].dim[0] = images;
    }
}

void Executor::run(const StepContext& context, StepObserver* observer, std::vector<int64_t>* step_ns) {
    const int64_t images = context.leaf_begin[context.leaves];
    if (images != batch_) set_batch(images);
    if (!addresses_set_) set_addresses();
    if (context_ != &context) {
        context_ = &context;
        for (KernelArgs& args : args_) args.step = context_;
    }
    if (step_ns) step_ns->resize(args_.size());
    failure_ = nullptr;
    failed_step_ = SIZE_MAX;
    run_team(plan_.options.threads, [&](const Team& team) { walk(team, observer, step_ns); });
    if (failure_) std::rethrow_exception(failure_);
}

void Executor::walk(const Team& team, StepObserver* observer, std::vector<int64_t>* step_ns) {
    // A thread leaves after the step that failed, never inside it: the others wait for it at that step's barrier.
    for (size_t i = 0; i < args_.size() && i <= failed_step_; ++i) {
        const PlannedStep& step = plan_.steps[i];
        const int64_t start = step_ns && team.rank == 0 ? now_ns() : 0;
        if (step.kind == StepKind::kernel) {
            step.kernel->run(args_[i], team);
        } else if (step.kind == StepKind::all_reduce && team.rank == 0) {
            exchange(i, observer);
        }
        team.barrier();
        if (step_ns && team.rank == 0) (*step_ns)[i] = now_ns() - start;
    }
}

void Executor::exchange(size_t step, StepObserver* observer) {
    const KernelTensor &local = args_[step].in[0], &total = args_[step].out[0];
    int64_t count = 1;
    for (int axis = 0; axis < local.rank; ++axis) count *= local.dim[axis];
    std::memcpy(total.data, local.data, static_cast<size_t>(count) * sizeof(double));
    try {
        if (observer) observer->all_reduce(static_cast<double*>(total.data), count);
    } catch (...) {
        failure_ = std::current_exception();  // no exception may leave a parallel region: the walk ends, run() rethrows
        failed_step_ = step;
    }
}

}  // namespace xbench
