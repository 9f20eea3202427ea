// Checking and timing rows on a GPU.
#include "bench/kernels/gpu_suite.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/base/text_table.h"
#include "core/error.h"
#include "kernels/cases/device_data.h"
#include "kernels/op.h"

namespace xbench {
namespace {

// Launches between two events until they take min_time, then so many for each repetition.
Interval time_launches(DeviceData& data, Device& device, const KernelSuiteOptions& options) {
    const auto nanoseconds = [&](int launches) {
        const DeviceEvent begin = device.record();
        for (int i = 0; i < launches; ++i) data.launch();
        return static_cast<double>(device.elapsed_ns(begin, device.record()));
    };
    nanoseconds(2);  // loads, warms
    int launches = 1;
    while (nanoseconds(launches) < options.min_time * 1e9 && launches < (1 << 20)) launches *= 2;
    std::vector<double> microseconds;
    for (int repeat = 0; repeat < options.repetitions; ++repeat)
        microseconds.push_back(nanoseconds(launches) / launches * 1e-3);
    return interval_of(std::move(microseconds));
}

void check(GpuMeasurement& row, const KernelSuiteEntry& entry, const ProblemData& data, Device& device) {
    const Oracle oracle(data);
    const double k = tolerance_of(entry.problem, *entry.kernel);
    const Comparison result = check_kernel_on(device, *entry.kernel, data, oracle, k, !device.is_emulated());
    row.error_eps = result.worst;
    if (!result.ok) row.failure = result.message;
}

void time(GpuMeasurement& row, const KernelSuiteEntry& entry, ProblemData data, Device& device,
          const KernelSuiteOptions& options) {
    DeviceData there(data, *entry.kernel, device, true);
    row.microseconds = time_launches(there, device, options);
    const Work work = op_def(entry.problem.op).work(entry.problem.problem());
    row.gflops = work.flops / row.microseconds.median * 1e-3;
    row.gbytes_per_second = work.bytes / row.microseconds.median * 1e-3;
}

}  // namespace

std::vector<GpuMeasurement> run_gpu_suite(const KernelSuiteOptions& options, std::span<const LayerProblem> problems,
                                          Device& device, const std::function<void(const GpuMeasurement&)>& progress) {
    std::vector<GpuMeasurement> rows;
    for (const KernelSuiteEntry& entry : select_entries(problems, options, device.target()).entries) {
        GpuMeasurement row;
        row.name = entry.name;
        row.kernel = entry.kernel->name;
        try {
            const ProblemData data(entry.problem, DataKind::random, 1);
            if (options.check && !entry.problem.bench_only) check(row, entry, data, device);
            if (!device.is_emulated()) time(row, entry, data, device, options);
        } catch (const Error& error) {
            row.failure = error.what();
        }
        rows.push_back(std::move(row));
        if (progress) progress(rows.back());
    }
    return rows;
}

std::string gpu_table_text(std::span<const GpuMeasurement> rows) {
    std::vector<std::vector<std::string>> cells;
    for (const GpuMeasurement& row : rows) {
        const bool timed = row.microseconds.median > 0;
        const auto number = [&](double value, int digits) { return timed ? fmt::format("{:.{}f}", value, digits) : ""; };
        cells.push_back({row.name, row.kernel, number(row.microseconds.median, 2), number(row.gflops, 0),
                         number(row.gbytes_per_second, 0), row.error_eps < 0 ? "" : fmt::format("{:.2f}", row.error_eps),
                         row.failure.empty() ? "" : "FAILED: " + row.failure});
    }
    return markdown_table({{"kernel", false}, {"row", false}, {"us"}, {"GFLOP/s"}, {"GB/s"}, {"error, eps"}, {"", false}},
                          cells);
}

}  // namespace xbench
