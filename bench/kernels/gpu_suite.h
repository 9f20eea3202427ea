// `xbench kernels --device cuda`: the rows for GPUs on the problems of kernels/<op>/problems.cfg, held against the reference
// and, on a real GPU, timed between events of its stream. On the emulated GPU of the tests nothing is timed.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "bench/kernels/kernel_suite.h"
#include "kernels/device.h"

namespace xbench {

struct GpuMeasurement {
    std::string name, kernel;
    Interval microseconds;  // of a launch, over repetitions; median 0: not timed
    double gflops = 0, gbytes_per_second = 0;
    double error_eps = -1;  // as KernelMeasurement's; negative: not compared
    std::string failure;    // why it is wrong or did not run; empty when all is well
};

std::vector<GpuMeasurement> run_gpu_suite(const KernelSuiteOptions& options, std::span<const LayerProblem> problems,
                                          Device& device, const std::function<void(const GpuMeasurement&)>& progress = {});
std::string gpu_table_text(std::span<const GpuMeasurement> rows);

}  // namespace xbench
