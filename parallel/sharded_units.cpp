// Shards and slots.
#include "parallel/sharded_units.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/error.h"

namespace xbench {
namespace {

AlignedBuffer floats(size_t count, MemoryLedger* ledger, MemoryCategory category) {
    return AlignedBuffer(count * sizeof(float), ledger, category);
}

// In memory that the ranks of the group reach; all of them ask for the same.
AlignedBuffer shared_floats(size_t count, Communicator& group, MemoryLedger* ledger, MemoryCategory category) {
    AlignedBuffer buffer = group.allocate(count * sizeof(float));
    buffer.count_in(ledger, category);
    return buffer;
}

// How many additions follow each addend, those at the end included.
std::vector<int> additions(const SumTree& tree) {
    std::vector<int> after(tree.merges.begin(), tree.merges.end());
    after.back() += static_cast<int>(after.size()) - 1 - std::accumulate(after.begin(), after.end(), 0);
    return after;
}

}  // namespace

ShardedUnits::ShardedUnits(const Plan& plan, const RankSums& sums, const Sharding& how, MemoryLedger* ledger)
    : sums_(sums),
      how_(how),
      shards_(cut_into_shards(plan.graph, plan.parameters, how.stage >= 2, group().rank(), group().size())),
      schedule_(how.stage >= 2 ? schedule_units(plan, shards_) : UnitSchedule{}),
      by_groups_(sums_by_groups()) {
    if (how.stage >= 2) {
        gradient_stride_ = shards_.largest_unit;
        gradients_ = floats(shards_.own_elements, ledger, MemoryCategory::gradients);
        const auto slots = static_cast<size_t>(schedule_.gradient_slots) * static_cast<size_t>(sums.most_blocks);
        gradient_slots_ = shared_floats(slots * gradient_stride_, group(), ledger, MemoryCategory::gradients);
    }
    if (how.stage >= 3) {
        parameters_ = floats(shards_.own_elements, ledger, MemoryCategory::parameters);
        const auto slots = static_cast<size_t>(schedule_.parameter_slots);
        parameter_slots_ = shared_floats(slots * shards_.largest_unit, group(), ledger, MemoryCategory::parameters);
    }
}

// Whether sums inside the groups, and then over the groups, are additions in the order of the tree over all leaves. Where
// they are not (3 ranks and 8 leaves), a unit is summed whole over all ranks.
bool ShardedUnits::sums_by_groups() const {
    if (sums_.reduction == Reduction::fast) return true;
    if (sums_.most_blocks > 1) return false;
    const int ranks = group().size(), groups = sums_.communicator.size() / ranks;
    const std::vector<int> inside = additions(sum_tree(ranks, ranks)), over = additions(sum_tree(groups, groups));
    std::vector<int> both;
    for (int g = 0; g < groups; ++g) {
        both.insert(both.end(), inside.begin(), inside.end());
        both.back() += over[static_cast<size_t>(g)];
    }
    return both == additions(sums_.tree);
}

float* ShardedUnits::gather(size_t unit, int slot_index) const {
    const ShardUnit& part = shards_.units[unit];
    float* const whole = slot(slot_index);
    std::copy_n(parameters(unit), part.own_elements(), whole + (part.own.begin - static_cast<size_t>(part.span.begin)));
    group().all_gather(whole, part.elements());
    return whole;
}

void ShardedUnits::keep_own(size_t unit, const float* whole) const {
    const ShardUnit& part = shards_.units[unit];
    std::copy_n(whole + (part.own.begin - static_cast<size_t>(part.span.begin)), part.own_elements(), parameters(unit));
}

float* ShardedUnits::gradient_slot(size_t unit) const {
    const auto slot = static_cast<size_t>(schedule_.gradient_slot[unit]);
    return gradient_slots_.as<float>() + slot * static_cast<size_t>(sums_.most_blocks) * gradient_stride_;
}

void ShardedUnits::reduce_scatter(size_t unit, float* whole, size_t stride) const {
    const ShardUnit& part = shards_.units[unit];
    if (!by_groups_) return sums_.sum(whole, part.elements(), stride);
    group().reduce_scatter_sum(whole, part.elements(), sums_.reduction);
    if (how_.replicas)
        how_.replicas->all_reduce_sum(whole + (part.own.begin - static_cast<size_t>(part.span.begin)), part.own_elements(),
                                      sums_.reduction);
}

void ShardedUnits::reduce_gradients(size_t unit) const {
    if (schedule_.gradient_slot[unit] < 0) return;
    const ShardUnit& part = shards_.units[unit];
    float* const whole = gradient_slot(unit);
    // Another unit had this slot before: what no step has written is its.
    for (const FlatSpan& gap : schedule_.gaps[unit])
        std::fill(whole + (gap.begin - part.span.begin), whole + (gap.end - part.span.begin), 0.0f);
    reduce_scatter(unit, whole, gradient_stride_);
    std::copy_n(whole + (part.own.begin - static_cast<size_t>(part.span.begin)), part.own_elements(), gradients(unit));
    // Gradients that come from sums over all images (of batch normalisations) are in the first block only.
    const auto others = static_cast<size_t>(sums_.most_blocks - 1);
    std::fill_n(whole + gradient_stride_, others * gradient_stride_, 0.0f);
}

void ShardedUnits::bind_to(Executor& executor) const {
    for (size_t unit = 0; unit < shards_.units.size(); ++unit) {
        const FlatSpan& span = shards_.units[unit].span;
        if (how_.stage >= 3 && schedule_.parameter_slot[unit] >= 0)
            executor.bind_span(Arena::parameters, span, slot(schedule_.parameter_slot[unit]));
        if (how_.stage >= 2 && schedule_.gradient_slot[unit] >= 0)
            executor.bind_span(Arena::gradients, span, gradient_slot(unit));
    }
}

UnitGatherer::UnitGatherer(const Plan& plan, const ShardedUnits& units)
    : units_(units),
      visits_(schedule_units(plan, units.shards()).visits),
      wanted_(plan.steps.size(), 0),
      held_(static_cast<size_t>(units.schedule().parameter_slots), none) {
    for (const UnitVisit& visit : visits_) wanted_[visit.first_step] = hear_before_step;
    const auto slot_of = [&](const UnitVisit& visit) { return units.schedule().parameter_slot[visit.unit]; };
    for (size_t k = 0; k + 1 < visits_.size(); ++k)
        if (slot_of(visits_[k]) == slot_of(visits_[k + 1]))
            throw Error("visits the units in another order than the training plan", "sharding, plan " + plan.graph.name);
}

void UnitGatherer::before_step(size_t step) {
    size_t now = 0;
    while (visits_[now].first_step != step) ++now;
    if (now == 0) {  // a new step: parameters have changed
        next_ = 0;
        std::fill(held_.begin(), held_.end(), none);
    }
    for (; next_ < std::min(now + 2, visits_.size()); ++next_) {
        const size_t unit = visits_[next_].unit;
        const int slot = units_.schedule().parameter_slot[unit];
        if (std::exchange(held_[static_cast<size_t>(slot)], unit) != unit) units_.gather(unit, slot);
    }
}

}  // namespace xbench
