// A training run on disk: all it needs to continue as if it had never stopped, whatever the number of ranks.
//
// A checkpoint is a folder step-N in the run's checkpoints folder:
//   model.safetensors      parameters and running statistics, as `eval` and `predict` read them
//   optimizer.safetensors  the optimizer's moments, named m0.<parameter>, m1.<parameter>
//   best.safetensors       the best epoch's weights, once there is one
//   manifest.json          position, losses, history, configuration, and the XXH3-128 digest of each file; written last
// Every file appears whole under its name (core/durable_file.h). A folder without a manifest, or with a file that does
// not match its digest, is not a checkpoint; the one before it counts.
#pragma once

#include <cmath>
#include <filesystem>
#include <future>
#include <optional>
#include <vector>

#include "core/config.h"
#include "core/json.h"
#include "parallel/checkpoint/checkpoint.h"
#include "parallel/checkpoint/epoch_result.h"
#include "parallel/checkpoint/loss_scale.h"

namespace xbench {

// Of the gradients of an epoch's steps so far, where they are clipped.
struct GradientNorms {
    double sum = 0;
    int64_t clipped = 0, steps = 0;
    void add(double norm, double limit) {
        if (!std::isfinite(norm)) return;  // of an update that was skipped
        sum += norm;
        clipped += norm + 1e-6 > limit;
        ++steps;
    }
    double mean() const { return steps > 0 ? sum / static_cast<double>(steps) : 0; }
    double clipped_share() const { return steps > 0 ? static_cast<double>(clipped) / static_cast<double>(steps) : 0; }
};

struct TrainingState {
    uint32_t steps = 0;          // done
    int64_t epoch = 1;           // under way
    int64_t next_batch = 0;      // of that epoch
    std::vector<double> losses;  // {next_batch}: sums over all ranks of this epoch's batches
    double epoch_seconds = 0;    // of training in this epoch so far
    double total_seconds = 0;    // of all processes so far
    GradientNorms norms;         // of this epoch so far
    std::vector<EpochResult> history;
    std::optional<EpochResult> best_epoch;
    WeightSet best;  // of best_epoch
    WeightSet model;
    std::vector<NamedTensor> moments;
    std::optional<LossScale> loss_scale;  // where the loss is scaled
    Json identity;                        // identity_of
};

// What makes a training run another one: the configuration's model, data and train without what may change on the way
// (epochs, what ends the run early, workers, the data set's place, how often it is saved, where memory is saved), and the
// data set's digest.
Json identity_of(const Config& config, const std::string& data_digest);

// Writes checkpoints in the background, one at a time, and keeps the newest `keep`.
class CheckpointWriter {
public:
    CheckpointWriter(std::filesystem::path folder, int64_t keep) : folder_(std::move(folder)), keep_(keep) {}
    ~CheckpointWriter();
    CheckpointWriter(const CheckpointWriter&) = delete;
    CheckpointWriter& operator=(const CheckpointWriter&) = delete;
    // Returns at once, except where the one before is still being written. Throws the Error of that one.
    void write(TrainingState state);
    void wait();  // until it is on the disk; throws its Error

private:
    std::filesystem::path folder_;
    int64_t keep_;
    std::future<void> writing_;
};

// The newest whole checkpoint of a checkpoints folder, or nothing. What is broken on the way is left alone.
std::optional<TrainingState> read_newest_checkpoint(const std::filesystem::path& folder);

// Throws UsageError that names each part of the identity that differs from that of `saved_in`, "the checkpoint at step 7".
void check_same_run(const Json& saved, const Json& now, const std::string& saved_in);

}  // namespace xbench
