// Shards and slots.
#include "parallel/strategy/sharded_units.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace xbench {
namespace {

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

ShardedUnits::ShardedUnits(const Plan& plan, Device& device, const RankSums& sums, const Sharding& how, MemoryLedger* ledger)
    : device_(device),
      sums_(sums),
      how_(how),
      shards_(cut_into_shards(plan.graph, plan.parameters, group().rank(), group().size())),
      schedule_(schedule_units(plan, shards_, how.overlapped)),
      by_groups_(sums_by_groups()) {
    if (!whole_gradients()) {
        gradient_stride_ = shards_.largest_unit;
        gradients_ = device.allocate(shards_.own_elements * sizeof(float), ledger, MemoryCategory::gradients);
        const auto slots = static_cast<size_t>(schedule_.gradient_slots) * static_cast<size_t>(sums.most_blocks);
        gradient_slots_ = shared_floats(slots * gradient_stride_, group(), ledger, MemoryCategory::gradients);
    }
    if (!whole_parameters()) {
        parameters_ = device.allocate(shards_.own_elements * sizeof(float), ledger, MemoryCategory::parameters);
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

float* ShardedUnits::gather(size_t unit, int slot_index, const ShardLines& over) const {
    const ShardUnit& part = shards_.units[unit];
    float* const whole = slot(slot_index);
    over.device.copy(whole + (part.own.begin - static_cast<size_t>(part.span.begin)), parameters(unit),
                     part.own_elements() * sizeof(float));
    over.group.all_gather(whole, part.elements());
    return whole;
}

void ShardedUnits::keep_own(size_t unit, const float* whole) const {
    const ShardUnit& part = shards_.units[unit];
    device_.copy(parameters(unit), whole + (part.own.begin - static_cast<size_t>(part.span.begin)),
                 part.own_elements() * sizeof(float));
}

float* ShardedUnits::gradient_slot(size_t unit) const {
    const auto slot = static_cast<size_t>(schedule_.gradient_slot[unit]);
    return gradient_slots_.as<float>() + slot * static_cast<size_t>(sums_.most_blocks) * gradient_stride_;
}

void ShardedUnits::reduce_scatter(size_t unit, float* whole, size_t stride, const ShardLines& over) const {
    const ShardUnit& part = shards_.units[unit];
    if (!by_groups_) return sums_.sum(whole, part.elements(), stride, over.all);
    over.group.reduce_scatter_sum(whole, part.elements(), sums_.reduction);
    if (over.replicas)
        over.replicas->all_reduce_sum(whole + (part.own.begin - static_cast<size_t>(part.span.begin)), part.own_elements(),
                                      sums_.reduction);
}

void ShardedUnits::reduce_gradients(size_t unit, const ShardLines& over) const {
    const ShardUnit& part = shards_.units[unit];
    float* const whole = gradient_slot(unit);
    // Another unit had this slot before: what no step has written is its.
    for (const FlatSpan& gap : schedule_.gaps[unit])
        over.device.zero(whole + (gap.begin - part.span.begin), static_cast<size_t>(gap.end - gap.begin) * sizeof(float));
    reduce_scatter(unit, whole, gradient_stride_, over);
    over.device.copy(gradients(unit), whole + (part.own.begin - static_cast<size_t>(part.span.begin)),
                     part.own_elements() * sizeof(float));
    // Gradients that come from sums over all images (of batch normalisations) are in the first block only.
    const auto others = static_cast<size_t>(sums_.most_blocks - 1);
    over.device.zero(whole + gradient_stride_, others * gradient_stride_ * sizeof(float));
}

void ShardedUnits::bind_to(Executor& executor) const {
    for (size_t unit = 0; unit < shards_.units.size(); ++unit) {
        const FlatSpan& span = shards_.units[unit].span;
        if (!whole_parameters() && schedule_.parameter_slot[unit] >= 0)
            executor.bind_span(Arena::parameters, span, slot(schedule_.parameter_slot[unit]));
        if (!whole_gradients() && schedule_.gradient_slot[unit] >= 0)
            executor.bind_span(Arena::gradients, span, gradient_slot(unit));
    }
}

UnitTransfers::UnitTransfers(const Plan& plan, const ShardedUnits& units, Of what, float* whole_gradients,
                             size_t gradient_stride)
    : units_(units),
      plan_(plan_transfers(plan, units.shards(), units.schedule(), units.stage(), what == Of::step)),
      whole_gradients_(whole_gradients),
      gradient_stride_(gradient_stride),
      wanted_(plan.steps.size(), 0),
      goes_into_order_(what != Of::evaluation && units.lines().all.goes_into_order()) {
    size_t so_far = 0;
    for (size_t step = 0; step < wanted_.size(); ++step) {
        const bool before = plan_.allowed_before[step] > so_far || plan_.needed_before[step] > 0;
        const bool after = plan_.allowed_after[step] > plan_.allowed_before[step];
        wanted_[step] = static_cast<uint8_t>((before ? hear_before_step : 0) | (after ? hear_after_step : 0));
        so_far = plan_.allowed_after[step];
    }
    if (goes_into_order_) wanted_.back() |= hear_after_step;
    for (const Transfer& transfer : plan_.transfers)
        if (transfer.kind == Transfer::Kind::reduce)
            reduced_bytes_ += units.shards().units[transfer.unit].elements() * sizeof(float);
    if (!units.overlapped() || what == Of::evaluation || plan_.transfers.empty()) return;
    const ShardLines own = units.lines();
    order_ = own.device.another_order();
    all_ = own.all.channel_on(*order_);
    if (&own.group != &own.all) group_ = own.group.channel_on(*order_);
    if (own.replicas) replicas_ = own.replicas->channel_on(*order_);
    const auto who = goes_into_order_ ? CommunicationThread::By::caller : CommunicationThread::By::thread;
    thread_.emplace(own.device, *order_, who, [this](size_t number) {
        transfer(number, {*order_, *all_, group_ ? *group_ : *all_, replicas_ ? replicas_.get() : nullptr});
    });
}

void UnitTransfers::before_step(size_t step) { advance(plan_.allowed_before[step], plan_.needed_before[step]); }

void UnitTransfers::after_step(size_t step) {
    advance(plan_.allowed_after[step], 0);
    if (!goes_into_order_ || step + 1 < wanted_.size()) return;
    finish_here();
    all_done_ = true;
}

void UnitTransfers::advance(size_t allowed, size_t needed) {
    if (thread_) {
        thread_->allow(allowed);
        thread_->wait_for(needed);
        return;
    }
    for (; done_ < allowed; ++done_) transfer(done_, units_.lines());
}

void UnitTransfers::finish() {
    if (!all_done_) finish_here();
    all_done_ = false;
}

void UnitTransfers::finish_here() {
    advance(plan_.transfers.size(), plan_.transfers.size());
    if (thread_) thread_->start_over();
    done_ = 0;
}

void UnitTransfers::transfer(size_t number, const ShardLines& over) {
    const Transfer& what = plan_.transfers[number];
    if (what.kind == Transfer::Kind::gather) {
        units_.gather(what.unit, what.slot, over);
    } else if (whole_gradients_) {
        units_.reduce_scatter(what.unit, whole_gradients_ + units_.shards().units[what.unit].span.begin, gradient_stride_,
                              over);
    } else {
        units_.reduce_gradients(what.unit, over);
    }
}

}  // namespace xbench
