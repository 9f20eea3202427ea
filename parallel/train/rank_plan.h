// What one rank of a training run computes, and in what memory: a function of the model, the configuration and the rank's
// place alone. Nothing is connected, allocated or run, so that `xbench models --memory` can ask for every rank of a job
// that does not exist. A TrainingStep (parallel/train/training_step.h) runs it.
#pragma once

#include <cstdint>
#include <vector>

#include "core/communicator.h"
#include "core/config.h"
#include "parallel/strategy/memory_prediction.h"
#include "parallel/train/micro_batches.h"
#include "plan/plan.h"

namespace xbench {

struct RankPlace {
    int rank = 0, ranks = 1;
    int stage = 0;               // of ZeRO
    int group_ranks = 0;         // that a shard is split over; 0: all
    bool shares_update = false;  // the ranks have one copy of the parameters (parallel/strategy/fused_update.h)
    bool overlapped = false;     // units are gathered and reduced by a thread (parallel/strategy/sharded_units.h)
    Target target{};
    int threads = 1;
    int64_t most_images = 0;     // of one batch on this rank, where a data set's last batch decides; 0: of a full batch
    std::vector<Choice> forced;  // implementations asked for by name
};

// A rank of the communicator, with what train.overlap means there. `group_ranks` as above.
RankPlace place_on(Communicator& communicator, const TrainConfig& config, int stage, int group_ranks = 0);

struct RankPlan {
    PassPlan passes;  // over the rank's leaves
    Plan training;    // of one pass
};

// Throws UsageError where the configuration does not fit the ranks or the model.
RankPlan rank_plan(const Graph& graph, const TrainConfig& config, const RankPlace& place);

// Forward and loss with the running statistics, on `batch` images of all ranks at a time.
Plan evaluation_plan(const Graph& graph, const TrainConfig& config, const RankPlace& place, int64_t batch);

// For predict_memory; everything must outlive it. `batches` are held ready by the loader.
MemoryQuestion memory_question(const RankPlan& plan, const Plan& evaluation, const TrainConfig& config,
                               const RankPlace& place, int batches);

}  // namespace xbench
