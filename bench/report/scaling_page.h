// report.html of a sweep: one file, from its records alone, byte for byte the same each time. On top what was found in a
// sentence; below it speed-up and efficiency with their intervals and the ideal, where the efficiency went, accuracy and
// the time to it, memory, kernels, what the curve says, where it was measured, and how to run it again.
#pragma once

#include <string>

#include "bench/report/kernel_part.h"
#include "bench/sweep/run_files.h"

namespace xbench {

class HtmlPage;

std::string scaling_page(const RunFiles& run, const KernelResults& kernels = {});
// Its sections, on a page that holds several runs.
void add_scaling(HtmlPage& page, const RunFiles& run, const KernelResults& kernels = {});

}  // namespace xbench
