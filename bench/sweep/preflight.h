// Tries what all rows of a sweep need before the first row runs: a mistake there would fail every row.
#pragma once

#include <memory>

#include "core/config.h"
#include "data/set/dataset.h"

namespace xbench {

// Without the pixels, which every row reads by itself; of synthetic images the first 256.
std::unique_ptr<Dataset> open_briefly(DataConfig data);

// Opens the data set and builds the model for it. Throws UsageError that names the key of the configuration.
void check_before_rows(const Config& config);

}  // namespace xbench
