// The memory of a model under training: parameters, their gradients, running statistics, each one flat buffer.
#pragma once

#include <vector>

#include "core/memory.h"
#include "parallel/checkpoint.h"
#include "parallel/rank_sums.h"
#include "plan/executor.h"

namespace xbench {

struct ModelState {
    explicit ModelState(const Graph& model);  // the graph must outlive it; everything starts as zero
    // With room for so many copies of the gradients (of blocks or passes); parameters and gradients in the communicator's
    // own memory.
    ModelState(const Graph& model, const RankSums& sums, int gradient_slots);
    void initialize(uint64_t seed);
    void bind_to(Executor& executor) const;                                 // parameters, gradients and state
    WeightSet weights() const;                                              // a copy, in canonical order, without metadata
    void set_weights(const WeightSet& weights, const std::string& origin);  // throws Error listing what does not fit

    const Graph& graph;
    FlatParameters flat;
    size_t gradient_stride = 0;                  // elements between the gradients of two blocks
    AlignedBuffer parameters, gradients, state;  // f32
};

}  // namespace xbench
