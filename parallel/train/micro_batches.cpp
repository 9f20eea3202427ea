// Passes over a rank's leaves.
#include "parallel/train/micro_batches.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/virtual_ranks.h"
#include "kernels/leaf_tree.h"
#include "parallel/strategy/whole_lines.h"

namespace xbench {
namespace {

bool has_batchnorm(const Graph& graph) {
    return std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const Node& n) { return n.op == OpKind::batchnorm; });
}

int32_t power_of_two_below(int64_t number) {
    int32_t power = 1;
    while (2 * static_cast<int64_t>(power) <= number) power *= 2;
    return power;
}

// Each block in passes of at most so many leaves, a power of two.
std::vector<Pass> cut_blocks(const std::vector<LeafBlock>& blocks, int32_t most) {
    std::vector<Pass> passes;
    int32_t first = 0;
    for (size_t b = 0; b < blocks.size(); ++b) {
        const auto leaves = static_cast<int32_t>(blocks[b].count), each = std::min(leaves, most);
        auto slot = static_cast<int>(b);
        for (int32_t part = 0; part < leaves / each; ++part, first += each) {
            const int merges = leaf_tree_merges(part);
            passes.push_back({first, each, slot, merges});
            slot += 1 - merges;
        }
    }
    return passes;
}

std::vector<Pass> passes_of_rank(int64_t leaves, int rank, int ranks, int64_t wanted, bool local) {
    const int64_t own = leaves_of_rank(leaves, rank, ranks).count;
    return cut_blocks(blocks_of_rank(leaves, rank, ranks),
                      local ? 1 : power_of_two_below(std::max<int64_t>(1, own / wanted)));
}

}  // namespace

PassPlan plan_passes(const TrainConfig& config, const Graph& graph, int rank, int ranks) {
    const int64_t leaves = leaves_of_batch(config, ranks);
    PassPlan plan;
    plan.slots = sum_tree(leaves, ranks).most_addends();
    plan.local = config.batchnorm == "local" && has_batchnorm(graph);
    if (config.accumulate > 1 && !plan.local && has_batchnorm(graph))
        throw UsageError(fmt::format("the batch normalisations of {} need the whole batch at once", graph.name),
                         "/train/accumulate", "set it to 1, or batchnorm to local");
    if (config.accumulate == 1 && !plan.local) return plan;
    for (int other = 0; other < ranks; ++other) {
        const auto passes = passes_of_rank(leaves, other, ranks, config.accumulate, plan.local);
        for (const Pass& pass : passes) plan.slots = std::max(plan.slots, pass.slot + 1);
        plan.most_passes = std::max(plan.most_passes, passes.size());
        if (other == rank) plan.passes = passes;
    }
    for (const Pass& pass : plan.passes) plan.most_leaves = std::max(plan.most_leaves, pass.leaves);
    return plan;
}

MicroBatches::MicroBatches(const PassPlan& plan, ModelState& state, const RankSums& sums, PassObserver* observer)
    : plan_(plan),
      state_(state),
      sums_(sums),
      observer_(observer),
      device_(state.device),
      losses_(static_cast<size_t>(plan.slots)),
      leaf_begin_(static_cast<size_t>(plan.most_leaves) + 1),
      exposed_(state.device) {
    if (!plan.local) return;
    find_frozen();
    for (const FlatRange& range : state.flat.state)
        if (state.graph.value(range.value).role == Role::buffer)
            statistics_count_ = static_cast<size_t>(range.begin + range.count);
    statistics_stride_ = in_whole_lines(static_cast<size_t>(state.flat.state_elements));
    statistics_ = device_.allocate(static_cast<size_t>(plan.slots) * statistics_stride_ * sizeof(float), state.ledger,
                                   MemoryCategory::buffers);
}

// Of frozen normalisations: the mean of equal numbers need not be their last bit.
void MicroBatches::find_frozen() {
    for (const Node& node : state_.graph.nodes)
        if (node.op == OpKind::batchnorm && std::get<BatchNorm>(node.attrs).frozen)
            for (const size_t operand : {3, 4}) frozen_.push_back(state_.flat.find(node.in[operand]));
}

void MicroBatches::run(const Batch& batch, DeviceBatch& memory, Executor& executor, const StepContext& context,
                       double* losses) {
    for (const Pass& pass : plan_.passes) {
        run_pass(pass, batch, memory, executor, context, losses++);
        if (observer_) observer_->end_pass();
        for (int k = 0; k < pass.merges; ++k) merge(pass.slot - k);
    }
    for (size_t idle = plan_.passes.size(); observer_ && idle < plan_.most_passes; ++idle) observer_->end_pass();
    if (plan_.local) average_statistics(batch);
}

const std::vector<double>& MicroBatches::losses_of_blocks(const double* of_pass) {
    for (const Pass& pass : plan_.passes) {
        const auto slot = static_cast<size_t>(pass.slot);
        losses_[slot] = *of_pass++;
        for (size_t k = 0; k < static_cast<size_t>(pass.merges); ++k) losses_[slot - k - 1] += losses_[slot - k];
    }
    return losses_;
}

void MicroBatches::run_pass(const Pass& pass, const Batch& batch, DeviceBatch& memory, Executor& executor,
                            const StepContext& context, double* loss) {
    const auto leaf = static_cast<size_t>(pass.first_leaf);
    const int32_t first = batch.leaf_begin[leaf], images = batch.leaf_begin[leaf + static_cast<size_t>(pass.leaves)] - first;
    float* const gradients = state_.gradients.as<float>() + static_cast<size_t>(pass.slot) * state_.gradient_stride;
    if (images == 0) {
        device_.zero(gradients, static_cast<size_t>(state_.flat.parameter_elements) * sizeof(float));
        if (plan_.local) device_.zero(statistics(pass.slot), statistics_count_ * sizeof(float));
        *loss = 0;
        return;
    }
    StepContext here = context;
    for (int32_t v = 0; v <= pass.leaves; ++v)
        leaf_begin_[static_cast<size_t>(v)] = batch.leaf_begin[leaf + static_cast<size_t>(v)] - first;
    here.leaf_begin = leaf_begin_.data();
    here.leaves = pass.leaves;
    executor.bind(Arena::gradients, gradients);
    if (plan_.local) {
        here.global_batch = images;  // of batch normalisation; inverse_batch stays that of the loss
        here.later_rank = 0;
        device_.copy(statistics(pass.slot), state_.state.data(), statistics_stride_ * sizeof(float));
        executor.bind(Arena::state, statistics(pass.slot));
    }
    memory.bind(batch, first, images, executor, here);
    executor.run(here, observer_);
    device_.copy(loss, executor.view(executor.plan().graph.output("loss")).data, sizeof(double));
}

// Slot and the one before it become one.
void MicroBatches::merge(int slot) {
    const auto at = [&](float* base, size_t stride, int s) { return base + static_cast<size_t>(s) * stride; };
    float* const gradients = state_.gradients.as<float>();
    add(at(gradients, state_.gradient_stride, slot - 1), at(gradients, state_.gradient_stride, slot),
        static_cast<size_t>(state_.flat.parameter_elements));
    if (plan_.local) add(statistics(slot - 1), statistics(slot), statistics_count_);
}

void MicroBatches::add(float* to, const float* from, size_t count) {
    const float* const both[] = {to, from};
    const uint8_t merges[] = {0, 1};
    device_.sum({both, 2, merges}, to, count);
}

void MicroBatches::average_statistics(const Batch& batch) {
    exposed_.time([&] { sums_.sum(statistics_.as<float>(), statistics_count_, statistics_stride_); });
    const int64_t leaves = sums_.leaves_of_all;
    int64_t full = 0;  // leaves that hold images
    for (int64_t v = 0; v < leaves; ++v)
        full += leaf_start(v + 1, batch.global_size, leaves) > leaf_start(v, batch.global_size, leaves);
    const auto count = static_cast<int64_t>(statistics_count_);
    std::vector<float> kept;
    device_.read(state_.state.as<float>(), frozen_.empty() ? 0 : count,
                 [&](const float* now) { kept.assign(now, now + (frozen_.empty() ? 0 : count)); });
    device_.read(statistics_.as<float>(), count, [&](const float* sums) {
        device_.write(state_.state.as<float>(), count, [&](float* mean) {
            for (int64_t i = 0; i < count; ++i) mean[i] = sums[i] / static_cast<float>(full);
            for (const FlatRange& range : frozen_) std::copy_n(kept.begin() + range.begin, range.count, mean + range.begin);
        });
    });
}

}  // namespace xbench
