// What the calibrations before and after each run of a sweep say (bench/base/calibration.h): whether the machine changed
// over the sweep, and which runs it disturbed. Made from records alone.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "bench/base/record.h"

namespace xbench {

struct DisturbedRun {
    std::string run;  // "cpu_ddp-r2-t1", "probe serial-b16-t1"
    int64_t rep = 0;
    double slower = 0;  // 0.12: a calibration beside it took 12% longer than the sweep's median
};

struct MachineDrift {
    size_t calibrations = 0;
    double noise = 0;  // relative standard deviation between neighbours in time, of the noisier of the two parts
    std::vector<DisturbedRun> disturbed;
    std::vector<std::string> changes;  // sentences; empty: no change beyond the noise
};

// A change is one of the medians of the sweep's two halves, by more than 1% and beyond its 95% interval. A run is disturbed
// where a calibration beside it lies 5% and four standard deviations of the noise above the median of all.
MachineDrift machine_drift(std::span<const Record> records);

}  // namespace xbench
