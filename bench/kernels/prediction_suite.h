// `xbench kernels --device cuda --predict GPU`: the rows for GPUs on the problems of kernels/<op>/problems.cfg, each run
// once on the emulated GPU, whose counts bound its time on a GPU that is not here.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "bench/base/gpu_prediction.h"
#include "bench/kernels/kernel_suite.h"

namespace xbench {

// Throws UsageError where the device is not an emulated GPU.
std::vector<PredictedRow> predict_kernels(const KernelSuiteOptions& options, std::span<const LayerProblem> problems,
                                          Device& device, const GpuChip& chip,
                                          const std::function<void(const PredictedRow&)>& progress = {});

}  // namespace xbench
