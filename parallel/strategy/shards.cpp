// Cutting, and the schedule of a plan.
#include "parallel/strategy/shards.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace xbench {
namespace {

constexpr size_t never = SIZE_MAX;  // no step writes it

std::vector<UnitVisit> find_visits(const Plan& plan, const Shards& shards) {
    std::vector<UnitVisit> visits;
    for (size_t step = 0; step < plan.steps.size(); ++step) {
        const FlatSpan& read = plan.steps[step].parameters;
        if (read.empty()) continue;
        const size_t unit = shards.unit_of(read.begin);
        if (unit != shards.unit_of(read.end - 1))
            throw Error("reads parameters of several units",
                        "sharding, layer " + plan.graph.node(plan.steps[step].node).name,
                        "give the layer a unit of its own");
        if (visits.empty() || visits.back().unit != unit) visits.push_back({unit, step, step});
        visits.back().last_step = step;
    }
    return visits;
}

// The lowest slot that none of the neighbours in the order of the visits has.
int assign_parameter_slots(UnitSchedule& schedule, size_t units) {
    schedule.parameter_slot.assign(units, -1);
    const auto& visits = schedule.visits;
    for (const UnitVisit& visit : visits) {
        int& slot = schedule.parameter_slot[visit.unit];
        if (slot >= 0) continue;
        std::vector<int> taken;
        for (size_t k = 0; k + 1 < visits.size(); ++k) {
            if (visits[k].unit == visit.unit) taken.push_back(schedule.parameter_slot[visits[k + 1].unit]);
            if (visits[k + 1].unit == visit.unit) taken.push_back(schedule.parameter_slot[visits[k].unit]);
        }
        slot = 0;
        while (std::count(taken.begin(), taken.end(), slot) > 0) ++slot;
    }
    return 1 + *std::max_element(schedule.parameter_slot.begin(), schedule.parameter_slot.end());
}

// The parts of the flat buffer whose gradients the plan writes, with the first step that does.
struct Written {
    FlatSpan span;
    size_t first_step;
};
std::vector<Written> written_gradients(const Plan& plan) {
    std::vector<Written> written;
    for (size_t step = 0; step < plan.steps.size(); ++step)
        for (const ValueId id : plan.graph.node(plan.steps[step].node).out) {
            const PlannedValue& value = plan.value(id);
            if (value.arena != Arena::gradients) continue;
            const auto begin = static_cast<int64_t>(value.offset_bytes / size_of(value.dtype));
            written.push_back({{begin, begin + value.shape.elements()}, step});
        }
    std::sort(written.begin(), written.end(),
              [](const Written& a, const Written& b) { return a.span.begin < b.span.begin; });
    return written;
}

// The gaps of every unit, and from which step to which its gradients are whole.
void find_gradients(const Plan& plan, const Shards& shards, UnitSchedule& schedule) {
    const size_t units = shards.units.size();
    schedule.gaps.assign(units, {});
    schedule.reduced_after.assign(units, 0);
    schedule.written_from.assign(units, never);
    std::vector<int64_t> covered;
    for (const ShardUnit& unit : shards.units) covered.push_back(unit.span.begin);
    for (const Written& part : written_gradients(plan)) {
        const size_t unit = shards.unit_of(part.span.begin);
        if (part.span.begin > covered[unit]) schedule.gaps[unit].push_back({covered[unit], part.span.begin});
        covered[unit] = part.span.end;
        schedule.written_from[unit] = std::min(schedule.written_from[unit], part.first_step);
    }
    for (size_t unit = 0; unit < units; ++unit)
        if (covered[unit] < shards.units[unit].span.end)
            schedule.gaps[unit].push_back({covered[unit], shards.units[unit].span.end});
    for (size_t step = 0; step < plan.steps.size(); ++step) {
        const FlatSpan& ready = plan.steps[step].gradients;
        for (size_t unit = 0; unit < units && !ready.empty(); ++unit)
            if (shards.units[unit].span.end > ready.begin && shards.units[unit].span.end <= ready.end)
                schedule.reduced_after[unit] = step;
    }
}

// A slot is free again when its unit's gradients are reduced: at once, or overlapped while the next unit's are written.
int assign_gradient_slots(UnitSchedule& schedule, bool overlapped) {
    const std::vector<size_t>& from = schedule.written_from;
    schedule.gradient_slot.assign(from.size(), -1);
    std::vector<size_t> order;
    for (size_t unit = 0; unit < from.size(); ++unit)
        if (from[unit] != never) order.push_back(unit);
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return from[a] < from[b]; });
    std::vector<size_t> busy_until;  // by slot
    for (size_t k = 0; k < order.size(); ++k) {
        const size_t unit = order[k];
        size_t slot = 0;
        while (slot < busy_until.size() && busy_until[slot] >= from[unit]) ++slot;
        if (slot == busy_until.size()) busy_until.push_back(0);
        busy_until[slot] = schedule.reduced_after[unit];
        if (overlapped && k + 1 < order.size())
            busy_until[slot] = std::max(busy_until[slot], schedule.reduced_after[order[k + 1]]);
        schedule.gradient_slot[unit] = static_cast<int>(slot);
    }
    return static_cast<int>(busy_until.size());
}

}  // namespace

size_t Shards::unit_of(int64_t element) const {
    const auto after = std::upper_bound(units.begin(), units.end(), element,
                                        [](int64_t at, const ShardUnit& unit) { return at < unit.span.begin; });
    return static_cast<size_t>(after - units.begin()) - 1;
}

Shards cut_into_shards(const Graph& graph, const FlatParameters& flat, int rank, int ranks) {
    Shards shards;
    int last = -1;
    for (const FlatRange& range : flat.parameters) {
        const int unit = graph.value(range.value).unit;
        if (shards.units.empty() || unit != last) {
            if (!shards.units.empty()) shards.units.back().span.end = range.begin;
            shards.units.push_back({{range.begin, flat.parameter_elements}, {}, 0});
        }
        last = unit;
    }
    for (ShardUnit& unit : shards.units) {
        const RankRange part = range_of_rank(unit.elements(), rank, ranks);
        const auto begin = static_cast<size_t>(unit.span.begin);
        unit.own = {begin + part.begin, begin + part.end};
        unit.at = shards.own_elements;
        shards.own_elements += unit.own_elements();
        shards.largest_unit = std::max(shards.largest_unit, unit.elements());
    }
    return shards;
}

UnitSchedule schedule_units(const Plan& plan, const Shards& shards, bool overlapped) {
    UnitSchedule schedule;
    schedule.visits = find_visits(plan, shards);
    schedule.parameter_slots = assign_parameter_slots(schedule, shards.units.size());
    find_gradients(plan, shards, schedule);
    schedule.gradient_slots = assign_gradient_slots(schedule, overlapped);
    return schedule;
}

TransferPlan plan_transfers(const Plan& plan, const Shards& shards, const UnitSchedule& slots, int stage, bool training) {
    const std::vector<UnitVisit> visits = find_visits(plan, shards);
    const auto slot_of = [&](size_t visit) { return slots.parameter_slot[visits[visit].unit]; };
    for (size_t k = 0; k + 1 < visits.size(); ++k)
        if (slot_of(k) == slot_of(k + 1))
            throw Error("visits the units in another order than the training plan", "sharding, plan " + plan.graph.name);
    TransferPlan result;
    // By slot: the unit that is in it, which the second last one still is when the backward pass comes back.
    std::vector<size_t> held(static_cast<size_t>(slots.parameter_slots), never);
    std::vector<size_t> gathered(shards.units.size(), 0);                       // by unit: transfers that include it
    std::vector<size_t> emptied(static_cast<size_t>(slots.gradient_slots), 0);  // by slot of gradients: the same
    size_t now = 0, next = 0;                                                   // visits
    for (size_t step = 0; step < plan.steps.size(); ++step) {
        size_t needed = 0;
        if (stage >= 3 && now < visits.size() && visits[now].first_step == step) {
            for (; next < std::min(now + 2, visits.size()); ++next) {
                const size_t unit = visits[next].unit;
                if (std::exchange(held[static_cast<size_t>(slot_of(next))], unit) == unit) continue;
                result.transfers.push_back({Transfer::Kind::gather, unit, slot_of(next)});
                gathered[unit] = result.transfers.size();
            }
            needed = gathered[visits[now++].unit];
        }
        for (size_t unit = 0; training && stage >= 2 && unit < shards.units.size(); ++unit)
            if (slots.written_from[unit] == step)
                needed = std::max(needed, emptied[static_cast<size_t>(slots.gradient_slot[unit])]);
        result.allowed_before.push_back(result.transfers.size());
        result.needed_before.push_back(needed);
        for (size_t unit = 0; training && unit < shards.units.size(); ++unit)
            if (slots.gradient_slot[unit] >= 0 && slots.reduced_after[unit] == step) {
                result.transfers.push_back({Transfer::Kind::reduce, unit, -1});
                emptied[static_cast<size_t>(slots.gradient_slot[unit])] = result.transfers.size();
            }
        result.allowed_after.push_back(result.transfers.size());
    }
    return result;
}

}  // namespace xbench
