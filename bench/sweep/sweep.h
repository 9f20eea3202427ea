// The sweep: the points of a configuration, each run several times in fresh processes, in the order of
// bench/sweep/schedule.h.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/base/calibration.h"
#include "bench/base/record.h"
#include "bench/base/run_folder.h"
#include "bench/sweep/launch.h"
#include "bench/sweep/points.h"
#include "bench/sweep/price.h"
#include "bench/sweep/schedule.h"
#include "core/config.h"

namespace xbench {

struct SweepProgress {
    int done, total;       // runs started and ended, over all points, probes and repeats
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
    std::function<void(const std::string& text)> said;         // the price, and what a budget decides
    std::vector<Probe> probes;                                 // runs that explain the rows
    RunTimes expected;                                         // what runs will take, where it is known before
    std::function<MachineCalibration()> calibrate;             // beside each run; none: the machine itself
    std::optional<SweepLimits> limits;                         // none: limits_here()
    FolderUse use = FolderUse::fresh;                          // resume: only what is missing in the folder is run
    std::function<bool()> stop;  // asked all the time: yes ends the run under way and the sweep
};

struct SweepResult {
    std::string markdown;      // scaling.md
    int ran = 0, failed = 0;   // runs that this process has made; rows that failed
    bool interrupted = false;  // stop() said yes: runs are missing
};

// The command that trains one repeat of a point into `out`; `settings` are those of a probe.
std::vector<std::string> train_command(const Config& config, const Point& point, const SweepOptions& options,
                                       const std::filesystem::path& out, const std::vector<std::string>& settings = {});

// Runs everything and leaves config.resolved.json, env.json, records.jsonl, scaling.csv and scaling.md in the folder, the
// tables after each repeat, of what there is until then. A point that fails does not end the sweep.
SweepResult run_sweep(const Config& config, const SweepOptions& options);

}  // namespace xbench
