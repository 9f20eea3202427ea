// `xbench kernels`: times the kernels of the registry on the problems of kernels/<op>/problems.cfg, with Google Benchmark,
// and compares them with the limits of this machine (kernel_roofline.h) and with the reference (kernel_case.h).
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "bench/base/measure.h"
#include "bench/kernels/kernel_roofline.h"
#include "core/json.h"
#include "kernels/cases/problem_list.h"
#include "kernels/device.h"

namespace xbench {

struct KernelSuiteOptions {
    std::string op;              // conv2d: it and its gradients; conv2d_wgrad: that alone; empty: all
    std::string filter;          // regular expression over the names; empty: all
    std::vector<Choice> forced;  // implementations asked for by name; the other rows of that operator are left out
    bool all_impls = false;      // every row that supports a problem, not only the one that a plan would take
    bool check = true;           // compare with the reference
    int repetitions = 7;
    double min_time = 0.05;  // seconds of a repetition
};

// One benchmark of the suite. Its name says operator, layer and layouts; with all_impls also the implementation.
struct KernelSuiteEntry {
    std::string name;
    LayerProblem problem;
    const Kernel* kernel;
};

struct KernelSelection {
    std::vector<KernelSuiteEntry> entries;
    // Calls left out although the options do not ask for it: those that only the reference supports while the same layer
    // has a real kernel in another layout, and plain layouts of `bench` layers.
    int left_out = 0;
};

// Throws UsageError for an unknown operator or implementation, a bad expression, and when nothing is left.
KernelSelection select_entries(std::span<const LayerProblem> problems, const KernelSuiteOptions& options,
                               const Target& target);

// The convolutions of the bundled lists that are only timed, each once, whose names the expression finds. Throws UsageError
// for a bad one.
std::vector<LayerProblem> convolutions_to_time(const std::string& filter);

struct KernelMeasurement {
    std::string name, op, problem, kernel, isa;
    Interval microseconds;  // over repetitions
    Work work;
    double gflops = 0, gbytes_per_second = 0, share_of_peak = 0, share_of_copy = 0, share_of_bound = 0;
    CopyBandwidth copy;  // that it is held against
    bool bound_by_arithmetic = false;
    double error_eps = -1;                         // negative: not compared
    double error_growth = 1;                       // of the kernel (kernel.h)
    std::string failure;                           // why it was not timed, or is wrong; empty when all is well
    double peer_microseconds = 0, peer_ratio = 0;  // peer / ours, alternated call by call; 0: no peer
    double peer_step_ratio = 0;                    // the same with the reorder of the filters, which our time contains
    std::string peer_implementation;
};

struct KernelReport {
    std::vector<KernelMeasurement> rows;
    int threads = 1, repetitions = 0, left_out = 0;
    std::string isa, peer, time_utc;
    std::string untimed;  // why no row has times; empty: they have
    double peak_gflops = 0, peak_gflops_at_end = 0;
    CopyBandwidth memory;
    Json google_benchmark;  // in its own format
};

// On this device, with the rows for its target; `progress` is called after each benchmark.
KernelReport run_kernel_suite(const KernelSuiteOptions& options, std::span<const LayerProblem> problems, Device& device,
                              const std::function<void(const KernelMeasurement&)>& progress = {});

}  // namespace xbench
