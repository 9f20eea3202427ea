// What the runs of a sweep will take, before any has run: the rate of a few training steps of the model on one core of this
// machine, and the images that a run goes through. Good for a price, not for a result.
#pragma once

#include <span>

#include "bench/sweep/price.h"
#include "bench/sweep/schedule.h"
#include "core/config.h"

namespace xbench {

struct RunImages {
    double trained = 0, evaluated = 0;  // of one run, over all epochs
};
RunImages images_of_run(const TrainConfig& train, double train_images, double val_images, double test_images);

// Of a run with so many cores of those that are allowed; an image evaluated costs a third of one trained.
double run_seconds(const RunImages& images, double images_per_second, int processors, int cores);

// Times the steps, for about a second. Rows on a GPU are left out. Throws Error where the data set cannot be opened.
RunTimes expected_times(const Config& config, std::span<const Point> points, std::span<const Probe> probes);

}  // namespace xbench
