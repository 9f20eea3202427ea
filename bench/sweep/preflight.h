// What all rows of a sweep need, tried before the first of them: a mistake there would fail every row.
#pragma once

#include "core/config.h"

namespace xbench {

// Opens the data set and builds the model for it. Throws UsageError that names the key of the configuration.
void check_before_rows(const Config& config);

}  // namespace xbench
