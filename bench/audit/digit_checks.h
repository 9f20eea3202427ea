// Checks 10 to 12: digits that were copied or made up, repeats and spread, digits that the seconds cannot give.
#pragma once

#include "bench/audit/scaling_relations.h"

namespace xbench::audit {

void check_digits(const Work& work, const Basis& basis);

}  // namespace xbench::audit
