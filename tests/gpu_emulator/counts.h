// What a kernel did, counted in mode counts over all launches since the last emu_reset_counts. Plain data: tests declare
// emu_kernel_counts(CUfunction, KernelCounts*) with it and assert on it; XBENCH_GPU_COUNTS=FILE writes it as JSON at exit.
#pragma once

#include "kernels/cuda/gpu_counts.h"

namespace xbench::ptx {

constexpr int counted_classes = counted_gpu_classes;

using KernelCounts = GpuCounts;

}  // namespace xbench::ptx
