// Looking through flat buffers in forward order.
#include "parallel/strategy/not_finite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/plain_nan.h"

namespace xbench {

std::string find_not_finite(const ModelState& state, std::span<const FlatRange> ranges,
                            std::span<const ModelState::Part> parts) {
    const Graph& graph = state.graph;
    for (const ValueId id : graph.state)
        for (const FlatRange& range : ranges) {
            if (range.value != id) continue;
            for (const ModelState::Part& part : parts) {
                const int64_t begin = std::max(range.begin, part.span.begin);
                const int64_t count = std::min(range.begin + range.count, part.span.end) - begin;
                if (count <= 0) continue;
                const std::string found =
                    state.device.read(part.data + (begin - part.span.begin), count, [&](const float* data) {
                        const float* const bad = std::find_if(data, data + count, [](float x) { return !std::isfinite(x); });
                        if (bad == data + count) return std::string{};
                        return fmt::format("{}[{}] is {}", graph.value(id).name, begin + (bad - data) - range.begin,
                                           plain_nan(*bad));
                    });
                if (!found.empty()) return found;
            }
        }
    return {};
}

std::string find_not_finite(const ModelState& state) {
    const std::string found = find_not_finite(state, state.flat.parameters, state.parameter_parts());
    const ModelState::Part buffers{{0, state.flat.state_elements}, state.state.as<float>()};
    return found.empty() ? find_not_finite(state, state.flat.state, std::span(&buffers, 1)) : found;
}

}  // namespace xbench
