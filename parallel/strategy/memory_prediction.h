// How much memory a rank of a training run will need, by category, before it runs: a function of the plans, the stage and
// the number of ranks. core/memory_ledger.h counts what it really used.
#pragma once

#include <string>

#include "core/config.h"
#include "core/memory_ledger.h"
#include "plan/plan.h"

namespace xbench {

struct MemoryQuestion {
    const Plan& training;    // of this rank
    const Plan& evaluation;  // of this rank
    const TrainConfig& train;
    int stage = 0, rank = 0, ranks = 1;
    int group_ranks = 0;             // that a shard is split over; 0: all
    bool common_parameters = false;  // of all ranks, counted by the first (parallel/strategy/fused_update.h)
    bool overlapped = false;         // units are reduced by a thread (parallel/strategy/sharded_units.h)
    int batches = 1;                 // held ready by the loader
    int64_t images = 0;              // of one of them; 0: of a step of the plan
    int gradient_slots = 0;          // copies of whole gradients (parallel/train/micro_batches.h); 0: one a block of leaves
    bool several_passes = false;     // over a batch: gradients are whole in any stage
    bool local_statistics = false;   // a copy of the running statistics for each slot
};

// While steps run. Checkpoints gather the moments for a moment, and the best epoch's weights are kept besides.
MemoryUse predict_memory(const MemoryQuestion& question);

// Why it is of no use to split a model's state over more ranks, or "". `replicated` is the use in stage 0.
std::string limit_of_sharding(const MemoryUse& replicated);

}  // namespace xbench
