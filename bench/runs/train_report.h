// What one training run leaves behind: the files of its folder and its raw record.
#pragma once

#include <filesystem>
#include <string>

#include "bench/base/record.h"
#include "core/hardware.h"
#include "parallel/train/trainer.h"

namespace xbench {

// One process of the run.
struct RankInfo {
    int rank = 0;
    std::string host, machine;  // machine: the kernel's boot id, equal on "nodes" that are one machine
    Binding binding;
};

Json to_json(const RankInfo& rank);
RankInfo this_rank(int rank, const Binding& binding);
// Collective; the description of every rank, in rank order, on every rank.
Json gather_ranks(ControlPlane& communicator, const Binding& binding);
// Whether two ranks of one machine share cores, or a rank has fewer of them than threads, or some rank found too few for its
// node. Ranks that are not bound share what they may use: of one machine they need as many cores as they have threads.
bool cores_are_shared(const Json& per_rank, int threads = 1);

struct TrainRun {
    const Config& config;
    const Dataset& dataset;
    const TrainResult& result;
    std::string trainer, device;
    int ranks = 1, threads = 1, stage = 0;
    Json per_rank;
    std::optional<double> energy_j;
    std::string energy_why, env_id;
    int64_t wall_start_ms = 0, wall_stop_ms = 0;  // of the training, by the system's clock, since 1970
    bool emulated = false;                        // the GPU was that of the tests: no time means anything
    Json processor_counters = Json::object();     // of all ranks (bench/base/processor_counters.h)
};

Record train_record(const TrainRun& run);
// records.jsonl alone, of a run that was made for its times (train.probe): no weights, no scores.
void write_probe_files(const TrainRun& run, const std::filesystem::path& folder);
// history.csv, metrics.json, classification_report.txt, confusion_matrix.csv, model_summary.txt, memory.json,
// training_time.txt and records.jsonl in an existing folder.
void write_train_files(const TrainRun& run, const std::filesystem::path& folder);

// The test split's classification report, or the validation split's where there is no other.
std::string report_of(const TrainResult& result);
// The folder's record of a run that ended as this configuration would; nothing where there is none.
std::optional<Record> finished_record(const std::filesystem::path& folder, const TrainConfig& config);

}  // namespace xbench
