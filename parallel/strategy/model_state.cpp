// Flat buffers to named tensors and back.
#include "parallel/strategy/model_state.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "parallel/strategy/whole_lines.h"

namespace xbench {
namespace {

size_t bytes_of(int64_t elements) { return static_cast<size_t>(std::max<int64_t>(elements, 16)) * sizeof(float); }

// What both ranges of elements have, as offsets into the parameter and into the part.
struct Overlap {
    int64_t in_parameter, in_part, count;
};
Overlap overlap(const FlatRange& parameter, const FlatSpan& part) {
    const int64_t begin = std::max(parameter.begin, part.begin);
    const int64_t end = std::min(parameter.begin + parameter.count, part.end);
    return {begin - parameter.begin, begin - part.begin, std::max<int64_t>(end - begin, 0)};
}

template <class F>
std::vector<ModelState::Part> own_parts(const Shards& shards, F&& data_of) {
    std::vector<ModelState::Part> parts;
    for (size_t unit = 0; unit < shards.units.size(); ++unit) {
        const RankRange& own = shards.units[unit].own;
        parts.push_back({{static_cast<int64_t>(own.begin), static_cast<int64_t>(own.end)}, data_of(unit)});
    }
    return parts;
}

}  // namespace

ModelState::ModelState(const Graph& model, Device& memory_of)
    : graph(model),
      device(memory_of),
      flat(flatten_parameters(model)),
      parameters(device.allocate(bytes_of(flat.parameter_elements))),
      gradients(device.allocate(bytes_of(flat.parameter_elements))),
      state(device.allocate(bytes_of(flat.state_elements))) {}

ModelState::ModelState(const Graph& model, Device& memory_of, const RankSums& sums, const Plan& plan, int gradient_slots,
                       const Sharding& sharding, MemoryLedger* counted_in)
    : graph(model),
      device(memory_of),
      flat(flatten_parameters(model)),
      ledger(counted_in),
      state(device.allocate(bytes_of(flat.state_elements), ledger, MemoryCategory::buffers)) {
    if (sharding.stage > 0) units.emplace(plan, device, sums, sharding, ledger);
    if (whole_parameters()) {
        // Replicas that nobody else writes into stay out of shared memory, which many systems give no huge pages.
        const size_t bytes = bytes_of(flat.parameter_elements);
        if (sharding.common_parameters) common_among = &sums.communicator;
        parameters = units          ? units->group().allocate(bytes)
                     : common_among ? common_among->allocate_common(bytes)
                                    : device.allocate(bytes);
        if (fills_parameters()) parameters.count_in(ledger, MemoryCategory::parameters);
    }
    if (whole_gradients()) {
        gradient_stride = in_whole_lines(static_cast<size_t>(flat.parameter_elements));
        Communicator& readers = units ? units->group() : sums.communicator;
        gradients =
            readers.allocate(static_cast<size_t>(gradient_slots) * std::max<size_t>(gradient_stride, 16) * sizeof(float));
        gradients.count_in(ledger, MemoryCategory::gradients);
    } else {
        gradient_stride = units->gradient_stride();
    }
}

std::vector<ModelState::Part> ModelState::parameter_parts() const {
    if (whole_parameters()) return {{{0, flat.parameter_elements}, parameters.as<float>()}};
    return own_parts(units->shards(), [&](size_t unit) { return units->parameters(unit); });
}

std::vector<ModelState::Part> ModelState::gradient_parts() const {
    if (whole_gradients()) return {{{0, flat.parameter_elements}, gradients.as<float>()}};
    return own_parts(units->shards(), [&](size_t unit) { return units->gradients(unit); });
}

void ModelState::initialize(uint64_t seed) {
    device.write(state.as<float>(), flat.state_elements, [&](float* here) { initialize_state(graph, flat, seed, here); });
    const auto fill = [&](float* to, const FlatSpan& span) {
        device.write(to, span.end - span.begin,
                     [&](float* here) { initialize_parameters(graph, flat, seed, span.begin, span.end, here); });
    };
    if (whole_parameters()) {
        if (fills_parameters()) fill(parameters.as<float>(), {0, flat.parameter_elements});
        if (common_among) common_among->barrier();
        return;
    }
    for (size_t unit = 0; unit < units->shards().units.size(); ++unit) {
        fill(units->slot(0), units->shards().units[unit].span);
        units->keep_own(unit, units->slot(0));
    }
}

void ModelState::set_positive_weights(const std::vector<double>& weights) {
    const bool several_labels = graph.value(graph.label).dtype == DType::f32;
    if (!several_labels && !weights.empty())
        throw UsageError("the images have one label each, which no positive weights apply to", "/train/pos_weight",
                         "leave it out");
    for (const FlatRange& range : flat.state)
        if (graph.value(range.value).name == "pos_weight" && weights.size() > 1 &&
            static_cast<int64_t>(weights.size()) != range.count)
            throw UsageError(fmt::format("{} numbers for {} classes", weights.size(), range.count), "/train/pos_weight",
                             "give one number, or one a class");
    set_constant("pos_weight", weights.empty() ? std::vector<double>{1} : weights);
}

void ModelState::set_constant(std::string_view name, const std::vector<double>& values) {
    for (const FlatRange& range : flat.state) {
        const Value& value = graph.value(range.value);
        if (value.role != Role::constant || value.name != name) continue;
        device.write(state.as<float>() + range.begin, range.count, [&](float* data) {
            for (int64_t k = 0; k < range.count; ++k)
                data[k] = static_cast<float>(values[values.size() == 1 ? 0 : static_cast<size_t>(k)]);
        });
    }
}

void ModelState::bind_to(Executor& executor) const {
    if (whole_parameters()) executor.bind(Arena::parameters, parameters.data());
    if (whole_gradients()) executor.bind(Arena::gradients, gradients.data());
    executor.bind(Arena::state, state.data());
    if (units) units->bind_to(executor);
}

WeightSet ModelState::weights() const {
    WeightSet set;
    const auto copy = [&](float* to, const float* from, int64_t count) {
        device.copy(to, from, static_cast<size_t>(count) * sizeof(float));
    };
    for (const ValueId id : graph.state) {
        const Value& value = graph.value(id);
        const FlatRange& range = flat.find(id);
        NamedTensor tensor{value.name, value.shape, std::vector<float>(static_cast<size_t>(range.count))};
        if (value.role != Role::parameter) copy(tensor.data.data(), state.as<float>() + range.begin, range.count);
        set.tensors.push_back(std::move(tensor));
    }
    const auto take = [&](const FlatSpan& span, const float* data) {
        for (size_t i = 0; i < graph.state.size(); ++i) {
            if (graph.value(graph.state[i]).role != Role::parameter) continue;
            const Overlap part = overlap(flat.find(graph.state[i]), span);
            copy(set.tensors[i].data.data() + part.in_parameter, data + part.in_part, part.count);
        }
    };
    if (whole_parameters()) {
        take({0, flat.parameter_elements}, parameters.as<float>());
    } else {
        for (size_t unit = 0; unit < units->shards().units.size(); ++unit)
            take(units->shards().units[unit].span, units->gather(unit, 0));
    }
    device.wait();
    return set;
}

void ModelState::set_weights(const WeightSet& weights, const std::string& origin) {
    const auto tensors = match_weights(weights, graph, origin);
    const auto parts = fills_parameters() ? parameter_parts() : std::vector<Part>{};
    if (common_among) common_among->barrier();  // nobody reads the old ones any more
    for (size_t i = 0; i < tensors.size(); ++i) {
        const FlatRange& range = flat.find(graph.state[i]);
        const float* const data = tensors[i]->data.data();
        if (graph.value(graph.state[i]).role != Role::parameter) {
            device.copy(state.as<float>() + range.begin, data, static_cast<size_t>(range.count) * sizeof(float));
            continue;
        }
        for (const Part& part : parts) {
            const Overlap both = overlap(range, part.span);
            device.copy(part.data + both.in_part, data + both.in_parameter, static_cast<size_t>(both.count) * sizeof(float));
        }
    }
    if (common_among) common_among->barrier();
}

}  // namespace xbench
