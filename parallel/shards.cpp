// Cutting, and the schedule of a plan.
#include "parallel/shards.h"

#include <algorithm>

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
                        "sharding, layer " + plan.graph.nodes[static_cast<size_t>(plan.steps[step].node)].name,
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
        for (const ValueId id : plan.graph.nodes[static_cast<size_t>(plan.steps[step].node)].out) {
            const PlannedValue& value = plan.values[static_cast<size_t>(id)];
            if (value.arena != Arena::gradients) continue;
            const auto begin = static_cast<int64_t>(value.offset_bytes / size_of(value.dtype));
            written.push_back({{begin, begin + value.shape.elements()}, step});
        }
    std::sort(written.begin(), written.end(),
              [](const Written& a, const Written& b) { return a.span.begin < b.span.begin; });
    return written;
}

// The gaps of every unit, and from which step to which its gradients are whole.
void find_gradients(const Plan& plan, const Shards& shards, UnitSchedule& schedule, std::vector<size_t>& first_write) {
    const size_t units = shards.units.size();
    schedule.gaps.assign(units, {});
    schedule.reduced_after.assign(units, 0);
    first_write.assign(units, never);
    std::vector<int64_t> covered;
    for (const ShardUnit& unit : shards.units) covered.push_back(unit.span.begin);
    for (const Written& part : written_gradients(plan)) {
        const size_t unit = shards.unit_of(part.span.begin);
        if (part.span.begin > covered[unit]) schedule.gaps[unit].push_back({covered[unit], part.span.begin});
        covered[unit] = part.span.end;
        first_write[unit] = std::min(first_write[unit], part.first_step);
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

int assign_gradient_slots(UnitSchedule& schedule, const std::vector<size_t>& first_write) {
    const size_t units = first_write.size();
    schedule.gradient_slot.assign(units, -1);
    std::vector<size_t> order;
    for (size_t unit = 0; unit < units; ++unit)
        if (first_write[unit] != never) order.push_back(unit);
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return first_write[a] < first_write[b]; });
    std::vector<size_t> busy_until;  // by slot
    for (const size_t unit : order) {
        size_t slot = 0;
        while (slot < busy_until.size() && busy_until[slot] >= first_write[unit]) ++slot;
        if (slot == busy_until.size()) busy_until.push_back(0);
        busy_until[slot] = schedule.reduced_after[unit];
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

Shards cut_into_shards(const Graph& graph, const FlatParameters& flat, bool by_unit, int rank, int ranks) {
    Shards shards;
    int last = -1;
    for (const FlatRange& range : flat.parameters) {
        const int unit = by_unit ? graph.values[static_cast<size_t>(range.value)].unit : 0;
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

UnitSchedule schedule_units(const Plan& plan, const Shards& shards) {
    UnitSchedule schedule;
    schedule.visits = find_visits(plan, shards);
    schedule.parameter_slots = assign_parameter_slots(schedule, shards.units.size());
    std::vector<size_t> first_write;
    find_gradients(plan, shards, schedule, first_write);
    schedule.gradient_slots = assign_gradient_slots(schedule, first_write);
    return schedule;
}

}  // namespace xbench
