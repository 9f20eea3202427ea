// The model of a configuration for the images of a data set: its inputs and outputs follow the set.
#pragma once

#include "core/config.h"
#include "data/set/dataset.h"

namespace xbench {

// Resolved: channels, size and classes are set. Throws Error where no model takes such images.
ModelConfig model_for(const ModelConfig& wanted, const DatasetInfo& info);

}  // namespace xbench
