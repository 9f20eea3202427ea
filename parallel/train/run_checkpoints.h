// The files in a run's checkpoints folder: the best and the last weights, and the snapshots to resume from
// (parallel/checkpoint/training_state.h). All ranks take part in a snapshot; rank 0 writes it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "data/set/dataset.h"
#include "parallel/checkpoint/training_state.h"
#include "parallel/train/best_epoch.h"
#include "parallel/train/epoch_losses.h"
#include "parallel/train/training_step.h"

namespace xbench {

// What a snapshot holds besides the step's weights and the optimizer's state.
struct RunState {
    EpochLosses losses;
    std::vector<EpochResult> history;
    BestEpoch best;
    double epoch_seconds = 0;  // of training in the epoch under way, by all processes so far
    double total_seconds = 0;  // of all processes so far
    GradientNorms norms;       // of the epoch under way
};

// Where a run goes on: in front of this batch of this epoch. Behind an epoch's last batch only its validation is left.
struct RunPosition {
    int64_t epoch = 1, batch = 0;
};

class RunCheckpoints {
public:
    // Everything outlives it. An empty folder: nothing is written. `resolved` is config.train with its weights as numbers;
    // `batches` of an epoch.
    RunCheckpoints(const Config& config, const TrainConfig& resolved, const Dataset& dataset, TrainingStep& step,
                   int64_t batches, std::filesystem::path folder);

    // The weights that are evaluated (while the average has taken their place, where there is one) with all that describes
    // them; collective. On rank 0, which writes them, thresholds are chosen by predictions of the validation split, where
    // they are given.
    WeightSet evaluated_weights(const Predictions* val = nullptr) const {
        return described_weights(val, train_.ema_decay > 0 ? "ema" : "trained");
    }
    void save(const char* name, const WeightSet& weights) const;
    // The same with a temperature, fitted to their predictions of the validation split. It takes some fifty passes over
    // these: once behind a training, not in each of its epochs.
    void save_calibrated(const char* name, WeightSet& weights, const Predictions& val) const;

    // Takes a snapshot and writes it in the background; collective.
    void snapshot(const RunState& run, int64_t epoch);
    void wait();  // until it is on the disk
    // Sets everything to where the newest snapshot was taken, and says where that is; nothing where there is none. Every
    // rank reads the same files. Collective.
    std::optional<RunPosition> resume(RunState& run);

private:
    WeightSet described_weights(const Predictions* val, const char* kind) const;
    TrainingState take(const RunState& run, int64_t epoch);
    std::optional<TrainingState> read_same_on_all_ranks() const;
    void check_fits(const TrainingState& state);
    const Json& identity();

    const Config& config_;
    const TrainConfig& train_;
    const Dataset& dataset_;
    TrainingStep& step_;
    const int64_t batches_;
    const std::filesystem::path folder_;
    std::optional<CheckpointWriter> writer_;  // on rank 0
    Json identity_;                           // once it was asked for: the data set's digest takes its time
};

}  // namespace xbench
