// From a configuration to the data set that it names: the one place that knows all kinds of sets.
#pragma once

#include <memory>

#include "core/config.h"
#include "data/set/dataset.h"

namespace xbench {

// An HDF5 file or synthetic images. Throws Error naming file and remedy.
std::unique_ptr<Dataset> open_dataset(const DataConfig& config);

}  // namespace xbench
