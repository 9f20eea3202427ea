// Runs one kernel outside a plan: for the tests and the kernel bench. A plan's executor does this for a list of kernels.
#pragma once

#include "kernels/kernel.h"

namespace xbench {

// Allocates the workspace, calls the kernel on a team of `threads` threads and waits for all of them.
void run_kernel(const Kernel& kernel, KernelArgs args, int threads);

// The same many times, for timing: workspace and team are made once. seconds[i]: of call i, closing barrier included.
void time_kernel(const Kernel& kernel, KernelArgs args, int threads, int repeats, double* seconds);

}  // namespace xbench
