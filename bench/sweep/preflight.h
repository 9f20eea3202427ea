// Tries what all rows of a sweep need before the first row runs: a mistake there would fail every row.
#pragma once

#include "core/config.h"

namespace xbench {

// Opens the data set and builds the model for it. Throws UsageError that names the key of the configuration.
void check_before_rows(const Config& config);

}  // namespace xbench
