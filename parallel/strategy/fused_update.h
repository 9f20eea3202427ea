// The update of ranks that share the memory of a node, in one pass. They have one copy of the parameters. Each rank sums its
// part of all ranks' gradients and updates its part of the parameters with it, piece by piece in its cache.
//
// For N ranks and Adam this moves 4 N + 28 bytes for each element of a rank's part, which is 1/N of all: gradients, their
// sum, parameters and moments, read and written. Summing into all copies and updating a copy on every rank moves 8 N bytes
// for each element of the part and 28 for every element. For two ranks that is 18 against 36 bytes a parameter.
//
// Only for ranks that compute on the host: the memory of the others is read in place.
// The moments are up to date on the rank that updates with them; gather() gives them to all.
#pragma once

#include <vector>

#include "parallel/strategy/exposed_time.h"
#include "parallel/strategy/model_state.h"
#include "parallel/strategy/optimizer_step.h"

namespace xbench {

class FusedUpdate {
public:
    // The ranks' communicator shares_memory(); parameters come from its allocate_common(), gradients from its allocate(),
    // and the optimizer has the moments of all parameters. All arguments must outlive it.
    FusedUpdate(const ModelState& state, const RankSums& sums, OptimizerStep& optimizer);

    // Collective. Exposed are waiting and fetching others' gradients, on the calling thread; adding up what is here, and
    // this rank's own gradients, are not. Afterwards the sums are in this rank's part of its gradients only.
    void run(const StepContext& context, ExposedTime& exposed) const;
    RankRange own() const { return own_; }
    void gather() const;  // all moments, on every rank; collective

private:
    const RankSums& sums_;
    OptimizerStep& optimizer_;
    Device& device_;
    const size_t count_;
    const RankRange own_;
    std::vector<const float*> addends_;  // of all ranks, in the order of the tree
    std::vector<const float*> others_;   // those of them that are not this rank's
    float* gradients_;                   // this rank's
};

}  // namespace xbench
