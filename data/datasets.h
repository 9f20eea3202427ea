// From a configuration to the data set that it names: the one place that knows all kinds of sets.
#pragma once

#include <memory>

#include "core/config.h"
#include "data/set/dataset.h"

namespace xbench {

// An HDF5 file or synthetic images. Throws Error naming file and remedy.
std::unique_ptr<Dataset> open_dataset(const DataConfig& config);

// Throws Error where the configuration refuses sets with images or groups in several splits and this is one. It looks at all
// images: for one rank of a job, once. 0 threads: all cores.
void check_leaks(const DataConfig& config, const Dataset& dataset, int threads = 0);

}  // namespace xbench
