// Which part of the flat buffers each step reads or completes: what a strategy needs to know to reduce gradients while the
// backward pass goes on, or to gather parameters before they are read.
#include <algorithm>

#include "plan/passes.h"

namespace xbench {
namespace {

// The position in flat.parameters of the parameter (or gradient) that lies at value.
size_t position_of(const Plan& plan, const PlannedValue& value) {
    const auto begin = static_cast<int64_t>(value.offset_bytes / size_of(plan.options.dtype));
    const auto& ranges = plan.parameters.parameters;
    const auto found = std::lower_bound(ranges.begin(), ranges.end(), begin,
                                        [](const FlatRange& range, int64_t at) { return range.begin < at; });
    return static_cast<size_t>(found - ranges.begin());
}

FlatSpan parameters_read(const Plan& plan, const Node& node) {
    FlatSpan span;
    for (const ValueId id : node.in) {
        if (id == no_value) continue;
        const PlannedValue& value = plan.value(id);
        if (value.arena != Arena::parameters) continue;
        const FlatRange& range = plan.parameters.parameters[position_of(plan, value)];
        const int64_t end = range.begin + range.count;
        span =
            span.empty() ? FlatSpan{range.begin, end} : FlatSpan{std::min(span.begin, range.begin), std::max(span.end, end)};
    }
    return span;
}

}  // namespace

void find_flat_spans(Plan& plan) {
    const auto& ranges = plan.parameters.parameters;
    std::vector<int> last_writer(ranges.size(), -1);  // of the gradient; -1: the parameter has none
    for (size_t i = 0; i < plan.steps.size(); ++i) {
        const Node& node = plan.graph.node(plan.steps[i].node);
        plan.steps[i].parameters = parameters_read(plan, node);
        for (const ValueId id : node.out) {
            const PlannedValue& value = plan.value(id);
            if (value.arena == Arena::gradients) last_writer[position_of(plan, value)] = static_cast<int>(i);
        }
    }
    int ready = -1;    // the step after which everything up to here is final
    int64_t done = 0;  // covered by spans
    for (size_t i = 0; i < ranges.size(); ++i) {
        ready = std::max(ready, last_writer[i]);
        if (ready < 0) continue;  // belongs to the first span
        FlatSpan& span = plan.steps[static_cast<size_t>(ready)].gradients;
        if (span.empty()) span.begin = done;
        span.end = done = i + 1 < ranges.size() ? ranges[i + 1].begin : plan.parameters.parameter_elements;
    }
}

}  // namespace xbench
