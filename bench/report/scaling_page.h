// report.html of a run: one file, from its records alone, byte for byte the same each time. On top what was found in a
// sentence; below it speed-up and efficiency with their intervals and the ideal, accuracy, the tables, what the curve says,
// where it was measured, and how to run it again.
#pragma once

#include <string>

#include "bench/sweep/run_files.h"

namespace xbench {

std::string scaling_page(const RunFiles& run);
// "16 x 1 cpu_ddp trains 10.4 times as fast as the serial program (10.3 to 10.5), at an efficiency of 0.65. ..."
std::string verdict_of(const RunFiles& run);

}  // namespace xbench
