// Flat buffers to named tensors and back.
#include "parallel/model_state.h"

#include <algorithm>

namespace xbench {
namespace {

size_t bytes_of(int64_t elements) { return static_cast<size_t>(std::max<int64_t>(elements, 16)) * sizeof(float); }

}  // namespace

ModelState::ModelState(const Graph& model)
    : graph(model),
      flat(flatten_parameters(model)),
      parameters(bytes_of(flat.parameter_elements)),
      gradients(bytes_of(flat.parameter_elements)),
      state(bytes_of(flat.state_elements)) {}

ModelState::ModelState(const Graph& model, const RankSums& sums, int gradient_slots)
    : graph(model),
      flat(flatten_parameters(model)),
      gradient_stride((static_cast<size_t>(flat.parameter_elements) + 15) / 16 * 16),
      parameters(sums.communicator.allocate(bytes_of(flat.parameter_elements))),
      gradients(sums.communicator.allocate(static_cast<size_t>(gradient_slots) * std::max<size_t>(gradient_stride, 16) *
                                           sizeof(float))),
      state(bytes_of(flat.state_elements)) {}

void ModelState::initialize(uint64_t seed) {
    xbench::initialize(graph, flat, seed, parameters.as<float>(), state.as<float>());
}

void ModelState::bind_to(Executor& executor) const {
    executor.bind(Arena::parameters, parameters.data());
    executor.bind(Arena::gradients, gradients.data());
    executor.bind(Arena::state, state.data());
}

WeightSet ModelState::weights() const {
    WeightSet set;
    for (const ValueId id : graph.state) {
        const Value& value = graph.values[static_cast<size_t>(id)];
        const FlatRange& range = flat.find(id);
        const float* data = (value.role == Role::parameter ? parameters : state).as<float>() + range.begin;
        set.tensors.push_back({value.name, value.shape, std::vector<float>(data, data + range.count)});
    }
    return set;
}

void ModelState::set_weights(const WeightSet& weights, const std::string& origin) {
    const auto tensors = match_weights(weights, graph, origin);
    for (size_t i = 0; i < tensors.size(); ++i) {
        const ValueId id = graph.state[i];
        float* data = (graph.values[static_cast<size_t>(id)].role == Role::parameter ? parameters : state).as<float>();
        std::copy(tensors[i]->data.begin(), tensors[i]->data.end(), data + flat.find(id).begin);
    }
}

}  // namespace xbench
