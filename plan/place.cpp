// Gives every value an address: parameters, gradients and state in their flat buffers, everything else in one arena in which
// values that never live at the same time share memory.
//
// Placement: values in order of falling size, each at the lowest offset that is free over its whole lifetime (first step
// that writes it to last step that reads it). Greedy by size is within a few percent of the best for such lists: Pisarchyk
// and Lee, "Efficient memory management for deep neural net inference", 2020.
#include <algorithm>
#include <numeric>

#include "plan/passes.h"

namespace xbench {
namespace {

constexpr size_t alignment_bytes = 64;
size_t aligned(size_t bytes) { return (bytes + alignment_bytes - 1) / alignment_bytes * alignment_bytes; }

void place_flat(Plan& plan, const std::vector<ValueId>& parameter_gradient) {
    const size_t element = size_of(plan.options.dtype);
    for (const FlatRange& range : plan.parameters.parameters) {
        PlannedValue& parameter = plan.value(range.value);
        parameter.arena = Arena::parameters;
        parameter.offset_bytes = static_cast<size_t>(range.begin) * element;
        const ValueId gradient = parameter_gradient[static_cast<size_t>(range.value)];
        if (gradient == no_value) continue;
        plan.value(gradient).arena = Arena::gradients;
        plan.value(gradient).offset_bytes = parameter.offset_bytes;
    }
    for (const FlatRange& range : plan.parameters.state) {
        plan.value(range.value).arena = Arena::state;
        plan.value(range.value).offset_bytes = static_cast<size_t>(range.begin) * element;
    }
    plan.value(plan.graph.input).arena = Arena::input;
    plan.value(plan.graph.label).arena = Arena::label;
}

// An alias shares its input's memory; `root` maps every value to the one that owns the memory.
std::vector<ValueId> find_roots(const Plan& plan) {
    std::vector<ValueId> root(plan.values.size());
    std::iota(root.begin(), root.end(), 0);
    for (const PlannedStep& step : plan.steps) {
        const Node& node = plan.graph.node(step.node);
        if (step.kind == StepKind::alias) root[static_cast<size_t>(node.out[0])] = root[static_cast<size_t>(node.in[0])];
    }
    return root;
}

void find_lifetimes(Plan& plan, const std::vector<ValueId>& root) {
    const auto touch = [&](ValueId id, int step) {
        PlannedValue& value = plan.value(root[static_cast<size_t>(id)]);
        if (value.first_step < 0) value.first_step = step;
        value.last_step = step;
    };
    for (int step = 0; step < static_cast<int>(plan.steps.size()); ++step) {
        const Node& node = plan.graph.node(plan.steps[static_cast<size_t>(step)].node);
        for (const ValueId id : node.in)
            if (id != no_value) touch(id, step);
        for (const ValueId id : node.out) touch(id, step);
    }
    // What is read after the step stays to its end.
    for (const Output& output : plan.graph.outputs) touch(output.value, static_cast<int>(plan.steps.size()));
}

bool overlap(const PlannedValue& a, const PlannedValue& b) {
    return a.first_step <= b.last_step && b.first_step <= a.last_step;
}

void place_activations(Plan& plan, const std::vector<ValueId>& root) {
    std::vector<ValueId> order;
    for (size_t id = 0; id < plan.values.size(); ++id)
        if (plan.values[id].arena == Arena::none && plan.values[id].first_step >= 0 && root[id] == static_cast<ValueId>(id))
            order.push_back(static_cast<ValueId>(id));
    std::stable_sort(order.begin(), order.end(),
                     [&](ValueId a, ValueId b) { return plan.value(a).bytes > plan.value(b).bytes; });
    std::vector<ValueId> placed;  // by ascending offset
    for (const ValueId id : order) {
        PlannedValue& value = plan.value(id);
        size_t offset = 0;
        for (const ValueId other_id : placed) {
            const PlannedValue& other = plan.value(other_id);
            if (!plan.options.naive && !overlap(value, other)) continue;
            if (offset + value.bytes <= other.offset_bytes) break;
            offset = std::max(offset, aligned(other.offset_bytes + other.bytes));
        }
        value.arena = Arena::activations;
        value.offset_bytes = offset;
        plan.activation_bytes = std::max(plan.activation_bytes, aligned(offset + value.bytes));
        plan.activation_bytes_unshared += aligned(value.bytes);
        placed.insert(std::upper_bound(placed.begin(), placed.end(), offset,
                                       [&](size_t o, ValueId v) { return o < plan.value(v).offset_bytes; }),
                      id);
    }
}

}  // namespace

void place(Plan& plan, const std::vector<ValueId>& parameter_gradient) {
    place_flat(plan, parameter_gradient);
    const auto root = find_roots(plan);
    find_lifetimes(plan, root);
    place_activations(plan, root);
    for (size_t id = 0; id < plan.values.size(); ++id) {
        const PlannedValue& owner = plan.value(root[id]);
        if (root[id] == static_cast<ValueId>(id)) continue;
        plan.values[id].arena = owner.arena;
        plan.values[id].offset_bytes = owner.offset_bytes;
        plan.values[id].first_step = owner.first_step;
        plan.values[id].last_step = owner.last_step;
    }
}

}  // namespace xbench
