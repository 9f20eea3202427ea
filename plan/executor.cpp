// The walk over the steps.
#include "plan/executor.h"

#include <algorithm>

#include "core/error.h"

namespace xbench {
namespace {

int64_t elements_of(const KernelTensor& tensor) {
    int64_t count = 1;
    for (int axis = 0; axis < tensor.rank; ++axis) count *= tensor.dim[axis];
    return count;
}

}  // namespace

Executor::Executor(const Plan& plan, Device& device, MemoryLedger* ledger)
    : plan_(plan),
      device_(device),
      activations_(device.allocate(plan.activation_bytes, ledger, MemoryCategory::activations)),
      workspace_(device.allocate(plan.workspace_bytes, ledger, MemoryCategory::workspace)),
      moved_(plan.values.size()),
      ledger_(ledger),
      block_sums_(plan.values.size(), -1) {
    if (device.threads() != plan.options.threads)
        throw Error(
            "a plan for " + std::to_string(plan.options.threads) + " threads, a team of " + std::to_string(device.threads()),
            "executor, plan " + plan.graph.name);
    base_[static_cast<size_t>(Arena::activations)] = activations_.data();
    set_blocks({plan.options.leaves}, 0);
}

void Executor::set_blocks(std::vector<int32_t> leaves_of_block, size_t gradient_stride_bytes) {
    blocks_.assign(leaves_of_block.size(), {});
    gradient_stride_bytes_ = gradient_stride_bytes;
    int32_t first = 0;
    for (size_t b = 0; b < blocks_.size(); ++b) {
        blocks_[b].first_leaf = first;
        blocks_[b].leaves = leaves_of_block[b];
        first += leaves_of_block[b];
        for (const PlannedStep& step : plan_.steps) {
            KernelArgs args{};
            static_cast<Problem&>(args) = step.problem;
            args.workspace = workspace_.data();
            args.step = &blocks_[b].context;
            blocks_[b].args.push_back(args);
        }
    }
    leaf_begin_ = device_.allocate((static_cast<size_t>(first) + blocks_.size()) * sizeof(int32_t));
    if (!device_.is_host()) contexts_ = device_.allocate(blocks_.size() * sizeof(StepContext));
    int32_t* next = leaf_begin_.as<int32_t>();
    for (size_t b = 0; b < blocks_.size(); ++b) {
        blocks_[b].device_leaf_begin = next;
        next += blocks_[b].leaves + 1;
        if (!device_.is_host()) blocks_[b].device_context = contexts_.as<StepContext>() + b;
    }
    find_block_sums();
    batch_ = -1;
    addresses_set_ = false;
    recordings_.clear();
}

// Steps on images run once a block; what works on sums or parameters alone runs once.
bool Executor::per_block(const PlannedStep& step) const {
    const Node& node = plan_.graph.node(step.node);
    const auto batched = [&](ValueId id) { return id != no_value && plan_.graph.value(id).batched(); };
    return std::any_of(node.in.begin(), node.in.end(), batched) || std::any_of(node.out.begin(), node.out.end(), batched);
}

void Executor::find_block_sums() {
    if (blocks_.size() == 1) return;
    block_stride_bytes_ = 0;
    for (const PlannedStep& step : plan_.steps) {
        if (step.kind != StepKind::kernel || !per_block(step)) continue;
        for (const ValueId id : plan_.graph.node(step.node).out) {
            const PlannedValue& value = plan_.value(id);
            if (plan_.graph.value(id).batched() || value.arena != Arena::activations) continue;
            block_sums_[static_cast<size_t>(id)] = static_cast<int64_t>(block_stride_bytes_);
            block_stride_bytes_ += (value.bytes + 63) / 64 * 64;
        }
    }
    block_memory_ = device_.allocate(block_stride_bytes_ * blocks_.size(), ledger_, MemoryCategory::activations);
}

void Executor::bind(Arena arena, void* base) {
    if (base_[static_cast<size_t>(arena)] == base) return;
    base_[static_cast<size_t>(arena)] = base;
    addresses_set_ = false;
    recordings_.clear();
}

void Executor::bind_span(Arena arena, const FlatSpan& span, void* base) {
    const size_t element = size_of(plan_.options.dtype);
    const size_t begin = static_cast<size_t>(span.begin) * element, end = static_cast<size_t>(span.end) * element;
    for (size_t id = 0; id < moved_.size(); ++id) {
        const PlannedValue& value = plan_.values[id];
        if (value.arena == arena && value.offset_bytes >= begin && value.offset_bytes < end)
            moved_[id] = static_cast<char*>(base) + (value.offset_bytes - begin);
    }
    addresses_set_ = false;
    recordings_.clear();
}

char* Executor::start_of(ValueId id) const {
    if (void* const moved = moved_[static_cast<size_t>(id)]) return static_cast<char*>(moved);
    const PlannedValue& value = plan_.value(id);
    return static_cast<char*>(base_[static_cast<size_t>(value.arena)]) + value.offset_bytes;
}

TensorView Executor::view(ValueId id) const {
    const PlannedValue& value = plan_.value(id);
    TensorView view;
    view.data = start_of(id);
    view.dtype = value.dtype;
    view.layout = value.layout;
    view.shape = value.shape;
    if (batch_ >= 0 && plan_.graph.value(id).batched()) view.shape[0] = batch_;
    return view;
}

TensorView Executor::view_block(ValueId id, int block) const {
    TensorView result = view(id);
    result.data = address(id, static_cast<size_t>(block));
    return result;
}

// Where a block finds a value: its images inside the batch, its own copy of a sum.
void* Executor::address(ValueId id, size_t block) const {
    const PlannedValue& value = plan_.value(id);
    if (block_sums_[static_cast<size_t>(id)] >= 0)
        return block_memory_.as<char>() + block_sums_[static_cast<size_t>(id)] +
               static_cast<ptrdiff_t>(block * block_stride_bytes_);
    char* data = start_of(id);
    if (value.arena == Arena::gradients) return data + block * gradient_stride_bytes_;
    if (!plan_.graph.value(id).batched()) return data;
    Shape image = value.shape;
    image[0] = 1;
    return data + static_cast<size_t>(blocks_[block].first_image) * stored_bytes(image, value.dtype, value.layout);
}

void Executor::set_addresses(size_t block) {
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
        const Node& node = plan_.graph.node(plan_.steps[i].node);
        const auto assign = [&](const std::vector<ValueId>& ids, KernelTensor* tensors) {
            for (size_t k = 0; k < ids.size(); ++k) {
                if (ids[k] == no_value) continue;
                const Arena arena = plan_.value(ids[k]).arena;
                if (!base_[static_cast<size_t>(arena)] && !moved_[static_cast<size_t>(ids[k])])
                    throw Error("an arena is not bound", "executor, layer " + node.name);
                tensors[k].data = address(ids[k], block);
            }
        };
        assign(node.in, blocks_[block].args[i].in);
        assign(node.out, blocks_[block].args[i].out);
    }
}

void Executor::set_batch(Block& block) {
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
        const Node& node = plan_.graph.node(plan_.steps[i].node);
        for (size_t k = 0; k < node.in.size(); ++k)
            if (node.in[k] != no_value && plan_.graph.value(node.in[k]).batched()) block.args[i].in[k].dim[0] = block.images;
        for (size_t k = 0; k < node.out.size(); ++k)
            if (plan_.graph.value(node.out[k]).batched()) block.args[i].out[k].dim[0] = block.images;
    }
}

// The step as the block sees it: its own leaves and images, counted from 0.
void Executor::set_block(Block& block, const StepContext& context) {
    const int32_t leaves = blocks_.size() == 1 ? context.leaves : block.leaves;
    const int32_t begin = context.leaf_begin[block.first_leaf];
    block.first_image = begin;
    block.images = context.leaf_begin[block.first_leaf + leaves] - begin;
    block.leaf_begin.clear();
    for (int32_t v = 0; v <= leaves; ++v) block.leaf_begin.push_back(context.leaf_begin[block.first_leaf + v] - begin);
    device_.copy(block.device_leaf_begin, block.leaf_begin.data(), block.leaf_begin.size() * sizeof(int32_t));
    block.context = context;
    block.context.leaf_begin = block.device_leaf_begin;
    block.context.leaves = leaves;
    if (context.sample_ids) block.context.sample_ids = context.sample_ids + begin;
    block.context.on_device = block.device_context;
    if (block.device_context) device_.copy(block.device_context, &block.context, sizeof block.context);
}

std::unique_ptr<Device::Recording>& Executor::recording(bool with_more) {
    std::vector<int64_t> shape{with_more ? 1 : 0};
    for (const Block& block : blocks_) shape.insert(shape.end(), {block.first_image, block.images, block.context.leaves});
    return recordings_[shape];
}

void Executor::run(const StepContext& context, StepObserver* observer, std::vector<int64_t>* step_ns,
                   const std::function<void()>& behind) {
    const int64_t images = context.leaf_begin[context.leaves];
    if (images > plan_.options.max_batch)
        throw Error("a batch of " + std::to_string(images) + " images does not fit a plan for " +
                        std::to_string(plan_.options.max_batch),
                    "executor");
    bool moved = images != batch_;  // or as many, shared by the blocks in another way
    for (Block& block : blocks_) {
        const int64_t first = block.first_image, count = block.images;
        set_block(block, context);
        moved = moved || block.first_image != first || block.images != count;
    }
    if (moved) {
        batch_ = images;
        for (Block& block : blocks_) set_batch(block);
        addresses_set_ = addresses_set_ && blocks_.size() == 1;
    }
    if (!addresses_set_)
        for (size_t b = 0; b < blocks_.size(); ++b) set_addresses(b);
    addresses_set_ = true;
    if (step_ns) begin_.resize(plan_.steps.size()), end_.resize(plan_.steps.size());
    failure_ = nullptr;
    failed_step_ = SIZE_MAX;
    wanted_calls_ = observer ? observer->wanted_calls() : std::span<const uint8_t>{};
    auto body = [&](const Team& team) {
        walk(team, observer, step_ns != nullptr);
        if (behind && team.rank == 0 && !failure_) call(plan_.steps.size(), behind);
    };
    if (step_ns || (observer && !observer->may_be_recorded()))
        device_.run(body);
    else
        run_recorded(body, observer, static_cast<bool>(behind));
    if (failure_) std::rethrow_exception(failure_);
    if (!step_ns) return;
    device_.wait();
    step_ns->resize(plan_.steps.size());
    for (size_t i = 0; i < plan_.steps.size(); ++i) (*step_ns)[i] = device_.elapsed_ns(begin_[i], end_[i]);
}

template <class Body>
void Executor::run_recorded(Body&& body, StepObserver* observer, bool with_more) {
    walked_ = false;
    device_.run(recording(with_more), body);
    if (!walked_ && observer) observer->replayed();
}

void Executor::walk(const Team& team, StepObserver* observer, bool timed) {
    if (team.rank == 0) walked_ = true;
    const auto wanted = [&](size_t step, uint8_t what) { return !wanted_calls_.empty() && (wanted_calls_[step] & what); };
    // A thread leaves before or after the step that failed, never inside it: the others wait for it at the next barrier.
    for (size_t i = 0; i < plan_.steps.size() && i <= failed_step_; ++i) {
        if (wanted(i, hear_before_step)) {
            if (team.rank == 0) call(i, [&] { observer->before_step(i); });
            team.barrier();
            if (i >= failed_step_) return;
        }
        if (plan_.steps[i].needs_sum) {
            if (team.rank == 0) call(i, [&] { end_exchange(observer); });
            team.barrier();
            if (i >= failed_step_) return;
        }
        if (timed && team.rank == 0) begin_[i] = device_.record();
        run_step(i, team, observer);
        team.barrier();
        if (timed && team.rank == 0) end_[i] = device_.record();
        if (wanted(i, hear_after_step)) {
            if (team.rank == 0) call(i, [&] { observer->after_step(i); });
            team.barrier();
        }
    }
}

void Executor::run_step(size_t i, const Team& team, StepObserver* observer) {
    const PlannedStep& step = plan_.steps[i];
    if (step.kind == StepKind::kernel) {
        device_.launch(*step.kernel, blocks_[0].args[i], team);
        for (size_t b = 1; b < blocks_.size() && per_block(step); ++b) {
            team.barrier();  // the workspace is the same
            device_.launch(*step.kernel, blocks_[b].args[i], team);
        }
    } else if (step.kind == StepKind::all_reduce && team.rank == 0) {
        call(i, [&] { exchange(i, observer); });
    }
}

// No exception may leave a parallel region: the walk ends, run() rethrows.
template <class F>
void Executor::call(size_t step, F&& observe) {
    try {
        observe();
    } catch (...) {
        failure_ = std::current_exception();
        failed_step_ = step;
    }
}

void Executor::exchange(size_t step, StepObserver* observer) {
    const KernelTensor &local = blocks_[0].args[step].in[0], &total = blocks_[0].args[step].out[0];
    const int64_t count = elements_of(total);
    // Blocks are summed where they lie; a single one is summed in the memory of the total.
    double* const sums = static_cast<double*>(blocks_.size() == 1 ? total.data : local.data);
    if (blocks_.size() == 1) device_.copy(sums, local.data, static_cast<size_t>(count) * sizeof(double));
    const auto stride = static_cast<int64_t>(block_stride_bytes_ / sizeof(double));
    begun_sum_ = step;
    if (plan_.steps[step].goes_on) {
        if (observer) observer->begin_all_reduce(sums, count, stride);
    } else {
        if (observer) observer->all_reduce(sums, count, stride);
        keep_total(step);
    }
}

void Executor::end_exchange(StepObserver* observer) {
    if (observer) observer->end_all_reduce();
    keep_total(begun_sum_);
}

// Blocks leave their sum in the memory of the first.
void Executor::keep_total(size_t step) {
    const KernelTensor &local = blocks_[0].args[step].in[0], &total = blocks_[0].args[step].out[0];
    if (blocks_.size() > 1) device_.copy(total.data, local.data, static_cast<size_t>(elements_of(total)) * sizeof(double));
}

}  // namespace xbench
