// The probe runs that a sweep's rows need to say where their efficiency went (bench/efficiency/chain.h).
#pragma once

#include <span>
#include <vector>

#include "bench/sweep/schedule.h"

namespace xbench {

// Each once, whichever rows share it. None where scaling.factors is false, or on several nodes, whose copies of the serial
// program nobody starts.
std::vector<Probe> probes_for(const Config& config, std::span<const Point> rows, int nodes = 1);

}  // namespace xbench
