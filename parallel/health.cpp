// Checks of the model's numbers.
#include "parallel/health.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/hash.h"

namespace xbench {

std::string find_not_finite(const Graph& graph, std::span<const FlatRange> ranges, const float* data) {
    for (const ValueId id : graph.state)
        for (const FlatRange& range : ranges) {
            if (range.value != id) continue;
            const float* numbers = data + range.begin;
            for (int64_t i = 0; i < range.count; ++i)
                if (!std::isfinite(numbers[i]))
                    return fmt::format("{}[{}] is {}", graph.values[static_cast<size_t>(id)].name, i, numbers[i]);
        }
    return {};
}

void check_finite(const ModelState& state, uint32_t step, int rank) {
    const auto check = [&](const std::string& found, const char* what) {
        if (!found.empty())
            throw Error(fmt::format("{}{} on rank {}", what, found, rank), fmt::format("training step {}", step),
                        "lower the learning rate, or look at the images of that step");
    };
    check(find_not_finite(state.graph, state.flat.parameters, state.gradients.as<float>()), "the gradient of ");
    check(find_not_finite(state.graph, state.flat.parameters, state.parameters.as<float>()), "");
    check(find_not_finite(state.graph, state.flat.state, state.state.as<float>()), "");
}

void check_replicas(const ModelState& state, uint32_t step, Communicator& communicator) {
    if (communicator.size() == 1) return;
    Hash hash;
    hash.add(state.parameters.data(), static_cast<size_t>(state.flat.parameter_elements) * sizeof(float));
    hash.add(state.state.data(), static_cast<size_t>(state.flat.state_elements) * sizeof(float));
    const std::string mine = hash.hex();
    std::vector<std::byte> bytes(mine.size());
    std::memcpy(bytes.data(), mine.data(), mine.size());
    const std::vector<std::byte> all = communicator.all_gather_bytes(bytes);
    std::string others;
    for (int rank = 1; rank < communicator.size(); ++rank)
        if (std::memcmp(all.data(), all.data() + static_cast<size_t>(rank) * mine.size(), mine.size()) != 0)
            others += fmt::format("{}{}", others.empty() ? "" : ", ", rank);
    if (!others.empty())
        throw Error(fmt::format("rank {} no longer has rank 0's weights", others),
                    fmt::format("after training step {}", step),
                    "memory or network corrupted something; resume from the last checkpoint");
}

}  // namespace xbench
