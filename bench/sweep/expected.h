// What the runs of a sweep will take, before any has run. A few pieces of their work are timed on this machine: training
// steps of the model and the drawing or reading of some images, each on one core, and a start of the launcher. The rest is
// counting. Good for a price, not for a result.
#pragma once

#include <span>

#include "bench/sweep/points.h"
#include "bench/sweep/price.h"
#include "bench/sweep/schedule.h"
#include "core/config.h"

namespace xbench {

// Of one run. Each of its processes opens the set for itself, and draws all synthetic images.
struct RunImages {
    double trained = 0, evaluated = 0;  // over all epochs
    double drawn = 0;                   // by all threads of each process, before the first step
    double read_first = 0;              // by one thread of each process, before the first step
    double read_beside = 0;             // by loaders of all ranks, beside the steps: of a set that memory does not hold
};
RunImages images_of_run(const TrainConfig& train, double train_images, double val_images, double test_images);

// Measured. Images a second and seconds an image are those of one core.
struct RunPrices {
    double images_per_second = 1;  // trained
    double draw_seconds = 0, read_seconds = 0;
    double open_seconds = 0;    // a set, without its pixels
    double launch_seconds = 0;  // the launcher's own, for a program that does nothing
};

// Processes of one run: the ranks of some equal jobs that run at once.
struct RunShape {
    int ranks = 1, threads = 1, loaders = 1;  // of each job; of each rank
    int copies = 1;                           // jobs
    bool launched = false;                    // by mpirun or srun
};

// With so many cores in all; an image evaluated costs a third of one trained.
double run_seconds(const RunImages& images, const RunPrices& prices, const RunShape& shape, int cores);

// Takes a second or two. Rows on a GPU are left out. Throws Error where the data set cannot be opened.
RunTimes expected_times(const Config& config, std::span<const Point> points, std::span<const Probe> probes,
                        const SweepLimits& limits);

}  // namespace xbench
