// A look at a data set as one page of HTML with its pictures inside.
#pragma once

#include <string>
#include <vector>

#include "data/explore/explore.h"

namespace xbench {

std::string explore_page(const ExploreReport& report, const SetRecords& records, const Dataset& images);

}  // namespace xbench
