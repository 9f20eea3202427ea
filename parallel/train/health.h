// Whether a training run is still sound: all numbers finite, all replicas equal.
#pragma once

#include <cstdint>

#include "core/communicator.h"
#include "parallel/strategy/not_finite.h"

namespace xbench {

// Throws Error naming tensor, step and rank when a parameter, its gradient or a running statistic is not finite, of those
// that this rank keeps.
enum class Checked { all, no_gradients };
void check_finite(const ModelState& state, uint32_t step, int rank, Checked what = Checked::all);

// Compares a digest of running statistics and parameters (where every rank has them all) over all ranks. Throws Error on
// every rank, naming those that differ from rank 0. Collective.
void check_replicas(const ModelState& state, uint32_t step, ControlPlane& communicator);

}  // namespace xbench
