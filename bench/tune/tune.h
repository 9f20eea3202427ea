// A search over keys of the configuration by independent workers. Each worker, a rank of the communicator, trains whole
// trials by itself; the ranks only exchange records, at the end of each rung. So the winner does not depend on their number.
//
// The folder, which all workers see:
//   trials/0003/            one trial: checkpoints, and record-0.json for each rung that it has finished
//   repeats/0001/           trainings of the winner with other seeds
//   trials.csv, tune.json, tune.md, best.json (the winner's configuration)
// Trials are compared on the validation split alone; the test split is looked at once, with the winner's weights, and with
// those of its repeats.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "bench/tune/trial.h"
#include "core/communicator.h"
#include "core/config.h"
#include "data/set/dataset.h"
#include "kernels/device.h"

namespace xbench {

struct TuneOptions {
    Device* device = nullptr;
    std::filesystem::path folder;
    // The configuration with these settings on top. Throws UsageError where they do not fit: the trial has failed then.
    std::function<Config(const std::vector<std::string>&)> configure;
    std::function<bool()> stop;                    // a signal: the trials under way write a checkpoint and end
    std::function<void(const TrialRecord&)> done;  // of this worker's trials
};

struct Repeat {
    uint64_t seed = 0;
    Metrics val, test;
    std::string reason;  // of a failure: then there are no scores
};

struct TuneResult {
    bool interrupted = false;
    std::vector<TrialRecord> records;  // of all rungs, in the order of rungs and trials
    TrialRecord winner;                // after its last rung
    std::filesystem::path weights;     // its best epoch's
    Metrics val, test;                 // of these weights; on rank 0
    std::vector<Repeat> repeats;
};

// Collective. Throws Error where every trial fails, and UsageError where the folder holds trials on another data set.
TuneResult tune(const Config& config, const Dataset& dataset, Communicator& workers, const TuneOptions& options);

// trials.csv, tune.json and tune.md in the folder.
void write_tune_files(const TuneResult& result, const Config& config, const std::filesystem::path& folder);
// What tune.md says: the winner, its scores, and how much better its validation score is than the others'.
std::string tune_report(const TuneResult& result, const Config& config);

}  // namespace xbench
