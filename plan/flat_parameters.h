// Where each parameter and each running statistic lies in its flat buffer.
// Parameters lie in backward-ready order (last layer first), so that gradients that are finished together are neighbours:
// a communication bucket and a shard are contiguous ranges. Each starts at a multiple of 16 elements; gaps stay zero.
#pragma once

#include <vector>

#include "core/graph.h"

namespace xbench {

struct FlatRange {
    ValueId value = no_value;
    int64_t begin = 0, count = 0;  // elements
};

struct FlatParameters {
    std::vector<FlatRange> parameters;                   // ascending begin: backward-ready order
    std::vector<FlatRange> state;                        // running statistics and constants
    int64_t parameter_elements = 0, state_elements = 0;  // buffer sizes, gaps included

    const FlatRange& find(ValueId value) const;  // throws when it is neither a parameter nor state
};

FlatParameters flatten_parameters(const Graph& graph);

// Writes the initial values: a function of (seed, parameter's position in forward order, element) alone.
void initialize(const Graph& graph, const FlatParameters& flat, uint64_t seed, float* parameters, float* state);
// The same for the parameters that begin at elements begin .. end - 1 of the flat buffer; `part` is that of element begin.
void initialize_parameters(const Graph& graph, const FlatParameters& flat, uint64_t seed, int64_t begin, int64_t end,
                           float* part);
void initialize_state(const Graph& graph, const FlatParameters& flat, uint64_t seed, float* state);

}  // namespace xbench
