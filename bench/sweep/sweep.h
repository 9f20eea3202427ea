// The sweep: the points of a configuration, each run several times in fresh processes, repeats interleaved.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/base/record.h"
#include "bench/base/run_folder.h"
#include "bench/sweep/launch.h"
#include "core/config.h"

namespace xbench {

// What a point is going to be, or was. `oversubscribed` points run and are kept out of fits.
enum class PointStatus { ok, oversubscribed, not_run, failed };
const char* name_of(PointStatus status);
PointStatus status_from(const std::string& name);

// One row of the scaling table.
struct Point {
    std::string trainer, device;
    int ranks = 1, threads = 1, stage = 0;
    int64_t global_batch = 0;
    PointStatus status = PointStatus::ok;  // as planned
    std::string reason;                    // of not_run and failed

    int processors() const { return ranks * threads; }
    std::string id() const;  // "cpu_ddp-r2-t1", "sharded-cuda-r2-t1-s3"
};

// What the sweep may use here. Nodes of a Slurm allocation are taken to be alike.
struct SweepLimits {
    int cores = 1;                     // over all nodes
    std::string launcher_reason = {};  // why ranks cannot be launched; empty: they can
    bool one_process_only = false;     // launcher local
    double quota_cores = 0;            // what this process' control groups allow; 0: no limit
    int nodes = 1;
    int gpus = 0;                 // of this node, where some row asks for one
    std::string gpu_reason = {};  // why there are none
};
SweepLimits limits_here(const Config& config);

// Rows x ranks x threads in the file's order, each once, with the reason of those that cannot run.
std::vector<Point> expand_points(const Config& config, const SweepLimits& limits);

struct SweepProgress {
    int done, total;       // processes started and ended, over all points and repeats
    std::string text;      // "cpu_ddp 2 x 1, repeat 2 of 3"
    double seconds_left;   // negative: not known yet
    std::string finished;  // a line about what has just ended, else empty
};

struct SweepOptions {
    std::filesystem::path folder;           // the run folder
    std::string program;                    // the xbench executable that trains
    std::vector<std::string> command_line;  // for env.json
    std::function<void(const SweepProgress&)> progress;
    std::function<void(const std::string& command)> launched;  // each process, before it starts
    std::optional<SweepLimits> limits;                         // none: limits_here()
    FolderUse use = FolderUse::fresh;                          // resume: only what is missing in the folder is run
    std::function<bool()> stop;  // asked all the time: yes ends the run under way and the sweep
};

struct SweepResult {
    std::string markdown;      // scaling.md
    int ran = 0, failed = 0;   // repeats that this process has run; rows that failed
    bool interrupted = false;  // stop() said yes: repeats are missing
};

// The command that trains one repeat of a point into `out`.
std::vector<std::string> train_command(const Config& config, const Point& point, const SweepOptions& options,
                                       const std::filesystem::path& out);

// Runs everything and leaves config.resolved.json, env.json, records.jsonl, scaling.csv and scaling.md in the folder, the
// tables after each repeat, of what there is until then. A point that fails does not end the sweep.
SweepResult run_sweep(const Config& config, const SweepOptions& options);

}  // namespace xbench
