// What a sweep would do, as text: its points, the order of its runs, and the price.
#pragma once

#include <span>
#include <string>

#include "bench/sweep/price.h"
#include "bench/sweep/schedule.h"
#include "core/config.h"

namespace xbench {

std::string dry_run_text(const Config& config, std::span<const Point> points, std::span<const Probe> probes,
                         const RunTimes& times);

}  // namespace xbench
