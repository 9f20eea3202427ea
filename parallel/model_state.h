// The memory of a model under training: parameters, their gradients, running statistics, each one flat buffer.
#pragma once

#include <vector>

#include "core/communicator.h"
#include "core/memory.h"
#include "parallel/checkpoint.h"
#include "plan/executor.h"

namespace xbench {

struct ModelState {
    // The graph must outlive it; everything starts as zero. With a communicator the gradients lie in its own memory.
    explicit ModelState(const Graph& model, Communicator* communicator = nullptr);
    void initialize(uint64_t seed);
    void bind_to(Executor& executor) const;                                 // parameters, gradients and state
    WeightSet weights() const;                                              // a copy, in canonical order, without metadata
    void set_weights(const WeightSet& weights, const std::string& origin);  // throws Error listing what does not fit

    const Graph& graph;
    FlatParameters flat;
    AlignedBuffer parameters, gradients, state;  // f32
};

}  // namespace xbench
