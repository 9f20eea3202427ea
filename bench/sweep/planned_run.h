// One run of a sweep's schedule: what is started for it, where its files go, and the records that it leaves.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "bench/base/record.h"
#include "bench/sweep/sweep.h"

namespace xbench {

// A repeat of a row, or of a probe.
struct PlannedRun {
    Point* point = nullptr;        // of a row
    const Probe* probe = nullptr;  // else
    int64_t repeat = 1;

    const Point& trained() const { return probe != nullptr ? probe->point : *point; }
    std::string run() const;   // its name among the runs of a block (bench/sweep/sweep_folder.h)
    std::string text() const;  // "cpu_ddp 2 x 1", "probe serial-b16-t1"
    std::filesystem::path folder_in(const std::filesystem::path& sweep) const;
    std::vector<std::filesystem::path> outs_in(const std::filesystem::path& sweep) const;  // a run folder for each copy
};

// What the sweep itself knows of a run.
struct RunMarks {
    Json before, after;  // calibrations
    double seconds = 0;
};

// Starts them, and waits for them.
class RunLauncher {
public:
    RunLauncher(const Config& config, const SweepOptions& options);
    // Into empty folders that it makes.
    Outcome run(const PlannedRun& target, const std::function<void(double seconds)>& tick) const;

private:
    Launch launch_of(const PlannedRun& target, size_t copy) const;
    const Config& config_;
    const SweepOptions& options_;
    const Launcher launcher_;
    const std::string srun_mpi_;
};

// The raw record of each copy, as this sweep's. Throws Error where one is missing.
std::vector<Record> records_of(const PlannedRun& target, const std::filesystem::path& sweep);

// "1802 images/s in 3 s"; no time of an emulated GPU is shown, here neither.
std::string speed_text(const Record& record, double seconds);

}  // namespace xbench
