// The training loop, one for every trainer. Serial, cpu_ddp and the sharded trainers give it different communicators and
// strategies, never another loop.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/communicator.h"
#include "core/config.h"
#include "core/memory_ledger.h"
#include "data/set/dataset.h"
#include "eval/metrics.h"
#include "kernels/device.h"
#include "parallel/checkpoint/epoch_result.h"
#include "parallel/comm/arrival_summary.h"
#include "parallel/train/step_times.h"
#include "parallel/train/train_progress.h"

namespace xbench {

// What one training run was worth. Equal on every rank, except where said.
struct TrainResult {
    std::vector<EpochResult> history;
    int64_t best_epoch = 0;
    Metrics val, test;               // of the best epoch's weights; test.count is 0 where the set has no test split
    std::string weights_hash;        // XXH3-128 of the best epoch's weights, 32 hex digits
    std::string final_weights_hash;  // of the last epoch's weights
    StepTimes times;                 // of this process' steps
    // Of the whole run, with what earlier processes had done of it.
    double train_seconds = 0, val_seconds = 0, test_seconds = 0, total_seconds = 0;
    int64_t images_trained = 0;
    double earlier_seconds = 0;  // of total_seconds
    int64_t parameters = 0;
    size_t optimizer_bytes = 0;              // of the optimizer's state on this rank
    size_t gradient_bytes = 0;               // that this rank gave to sums over ranks in the last step
    size_t activation_bytes = 0;             // of one pass, on this rank
    MemoryUse memory_predicted;              // of this rank, while steps run
    MemoryUse memory_in_steps;               // the same, counted
    MemoryUse memory_highest;                // counted, with evaluations and checkpoints; of each category by itself
    std::string isa;                         // or the GPU's compute capability
    std::string communicator;                // over which tensors went: "shm+mpi", "staged mpi", "nccl"
    std::string overlap;                     // fused | thread | inline | none: when gradients were reduced
    uint32_t resumed_at = 0;                 // steps that an earlier process had done
    std::optional<ArrivalSummary> arrivals;  // where they were logged
    bool interrupted = false;                // stopped at a checkpoint because stop() asked for it: there is no test result
    uint32_t steps_done = 0;
};

// What is known before the first step.
struct TrainStart {
    uint32_t resumed_at = 0;  // steps that an earlier process had done; 0: the run begins anew
    std::span<const EpochResult> history;
};

struct TrainOptions {
    Device* device = nullptr;  // of this rank; null: the CPU, with so many threads
    int threads = 1;           // compute threads of each rank
    int stage = 0;             // of ZeRO: 0 replicates everything, 3 splits all (parallel/strategy/sharded_units.h)
    std::filesystem::path
        checkpoint_dir;  // empty: none is written. best.safetensors and last.safetensors land here (rank 0)
    std::function<void(const TrainProgress&)> progress;  // on rank 0 only
    // On rank 0, once everything has been checked: a run that is refused has not come here.
    std::function<void(const TrainStart&)> started;
    // Writes a checkpoint behind this epoch and returns as if interrupted, where the run goes on; 0: never.
    int64_t pause_after_epoch = 0;
    bool test = true;                // else the test split is left alone
    bool resume = false;             // from the newest checkpoint in checkpoint_dir, where there is one
    ArrivalLog* arrivals = nullptr;  // that the communicator writes (parallel/comm/comm_logged.h); null: none
    std::function<bool()> stop;      // asked after every step and the last epoch, on every rank; one rank's yes stops all
};

// Trains as config.train says, on the data set, over all ranks of the communicator. Collective. Throws Error.
TrainResult train(const Config& config, const Dataset& dataset, Communicator& communicator, const TrainOptions& options);

}  // namespace xbench
