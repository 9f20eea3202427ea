// The results of the kernel suite as text: a table for the terminal, and the kernel passport, a Markdown file that also
// names the machine and the build.
#pragma once

#include <string>

#include "bench/kernels/kernel_suite.h"
#include "core/hardware.h"

namespace xbench {

std::string kernel_table_text(const KernelReport& report);    // one row a benchmark
std::string kernel_summary_text(const KernelReport& report);  // one row an operator: geometric means
std::string kernel_passport(const KernelReport& report, const Hardware& hardware, const Json& build,
                            const std::string& command_line);

}  // namespace xbench
