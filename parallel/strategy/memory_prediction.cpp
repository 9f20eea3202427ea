// Sizes that follow from the plans.
#include "parallel/strategy/memory_prediction.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/virtual_ranks.h"
#include "parallel/comm/rank_sums.h"
#include "parallel/strategy/optimizer_step.h"
#include "parallel/strategy/shards.h"

namespace xbench {
namespace {

size_t batch_bytes(const Plan& plan, int64_t images) {
    const Shape& image = plan.graph.value(plan.graph.input).shape;
    return static_cast<size_t>(images * image.elements()) * sizeof(float);
}

}  // namespace

MemoryUse predict_memory(const MemoryQuestion& q) {
    const FlatParameters& flat = q.training.parameters;
    const int group = q.group_ranks > 0 ? q.group_ranks : q.ranks;
    const Shards shards = cut_into_shards(q.training.graph, flat, q.rank % group, group);
    const UnitSchedule schedule = q.stage >= 2 ? schedule_units(q.training, shards, q.overlapped) : UnitSchedule{};
    const int64_t leaves = leaves_of_batch(q.train, q.ranks);
    const auto blocks = static_cast<size_t>(sum_tree(leaves, q.ranks).most_addends());
    const size_t copies = q.gradient_slots > 0 ? static_cast<size_t>(q.gradient_slots) : blocks;
    const auto whole = static_cast<size_t>(flat.parameter_elements);
    const size_t own = q.stage == 0 ? whole : shards.own_elements;
    const auto slots = [&](int count) { return static_cast<size_t>(count) * shards.largest_unit; };

    MemoryUse use;
    use[MemoryCategory::parameters] = sizeof(float) * (q.common_parameters && q.rank > 0 ? 0
                                                       : q.stage < 3                     ? whole
                                                                     : own + slots(schedule.parameter_slots));
    use[MemoryCategory::gradients] =
        sizeof(float) * (q.stage < 2 || q.several_passes ? copies * whole : own + blocks * slots(schedule.gradient_slots));
    use[MemoryCategory::optimizer] = sizeof(float) * (static_cast<size_t>(moment_count(q.train)) * own +
                                                      averaged_statistics(q.train, q.training.graph, flat));
    use[MemoryCategory::activations] = q.training.activation_bytes + q.evaluation.activation_bytes;
    use[MemoryCategory::buffers] = sizeof(float) * static_cast<size_t>(std::max<int64_t>(flat.state_elements, 16));
    if (q.local_statistics) use[MemoryCategory::buffers] *= 1 + copies;
    use[MemoryCategory::batches] =
        static_cast<size_t>(q.batches) * batch_bytes(q.training, q.images > 0 ? q.images : q.training.options.max_batch);
    use[MemoryCategory::workspace] = q.training.workspace_bytes + q.evaluation.workspace_bytes;
    if (q.train.clip_norm > 0) use[MemoryCategory::workspace] += sizeof(double) * std::max<size_t>(own / 16, 1);
    return use;
}

std::string limit_of_sharding(const MemoryUse& replicated) {
    const double share = static_cast<double>(replicated[MemoryCategory::activations]) /
                         static_cast<double>(std::max<size_t>(replicated.total(), 1));
    if (share <= 0.5) return {};
    return fmt::format("sharding cannot help here: activations are {:.0f}% of the bytes", 100 * share);
}

}  // namespace xbench
