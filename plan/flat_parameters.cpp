// The flat layout of parameters and state, and their initial values.
#include "plan/flat_parameters.h"

#include <algorithm>

#include "core/error.h"
#include "core/rng.h"

namespace xbench {
namespace {

constexpr int64_t alignment = 16;  // elements: one cache line of floats

int64_t append(std::vector<FlatRange>& ranges, const Graph& graph, ValueId id, int64_t begin) {
    const int64_t count = graph.value(id).shape.elements();
    ranges.push_back({id, begin, count});
    return begin + (count + alignment - 1) / alignment * alignment;
}

void fill(const Init& init, uint64_t seed, uint32_t position, float* data, int64_t count) {
    if (init.rule != Init::Rule::uniform) {
        std::fill_n(data, count, static_cast<float>(init.value));
        return;
    }
    Random random(seed, RandomUse::weights, position);
    const auto bound = static_cast<float>(init.value);
    for (int64_t i = 0; i < count; ++i) data[i] = random.uniform(-bound, bound);
}

// The values that are drawn by their position, in forward order: parameters, frozen ones included, so that freezing changes
// no other's numbers.
std::vector<ValueId> drawn_values(const Graph& graph) {
    std::vector<ValueId> drawn;
    for (const ValueId id : graph.state)
        if (graph.value(id).role != Role::buffer) drawn.push_back(id);
    return drawn.empty() ? graph.parameters : drawn;
}

}  // namespace

const FlatRange& FlatParameters::find(ValueId value) const {
    for (const auto* ranges : {&parameters, &state})
        for (const FlatRange& range : *ranges)
            if (range.value == value) return range;
    throw Error("value " + std::to_string(value) + " is neither a parameter nor state", "flat parameters");
}

FlatParameters flatten_parameters(const Graph& graph) {
    FlatParameters flat;
    for (auto id = graph.parameters.rbegin(); id != graph.parameters.rend(); ++id)
        flat.parameter_elements = append(flat.parameters, graph, *id, flat.parameter_elements);
    for (const Role role : {Role::buffer, Role::constant})
        for (size_t id = 0; id < graph.values.size(); ++id)
            if (graph.values[id].role == role)
                flat.state_elements = append(flat.state, graph, static_cast<ValueId>(id), flat.state_elements);
    return flat;
}

void initialize_parameters(const Graph& graph, const FlatParameters& flat, uint64_t seed, int64_t begin, int64_t end,
                           float* part) {
    std::fill_n(part, end - begin, 0.0f);
    const std::vector<ValueId> drawn = drawn_values(graph);
    for (size_t position = 0; position < drawn.size(); ++position) {
        if (graph.value(drawn[position]).role != Role::parameter) continue;
        const FlatRange& range = flat.find(drawn[position]);
        if (range.begin < begin || range.begin >= end) continue;
        fill(graph.value(range.value).init, seed, static_cast<uint32_t>(position), part + (range.begin - begin),
             range.count);
    }
}

void initialize_state(const Graph& graph, const FlatParameters& flat, uint64_t seed, float* state) {
    std::fill_n(state, flat.state_elements, 0.0f);
    const std::vector<ValueId> drawn = drawn_values(graph);
    for (const FlatRange& range : flat.state) {
        const auto position = std::find(drawn.begin(), drawn.end(), range.value) - drawn.begin();
        fill(graph.value(range.value).init, seed, static_cast<uint32_t>(position), state + range.begin, range.count);
    }
}

void initialize(const Graph& graph, const FlatParameters& flat, uint64_t seed, float* parameters, float* state) {
    initialize_parameters(graph, flat, seed, 0, flat.parameter_elements, parameters);
    initialize_state(graph, flat, seed, state);
}

}  // namespace xbench
