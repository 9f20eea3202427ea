// Running each row once.
#include "bench/kernels/compared_kernels.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "kernels/cases/device_data.h"
#include "kernels/op.h"

namespace xbench {

KernelMeasurement without_figures(const KernelSuiteEntry& entry) {
    KernelMeasurement row;
    row.name = entry.name;
    row.op = name_of(entry.problem.op);
    row.problem = to_string(entry.problem.problem());
    row.kernel = entry.kernel->name;
    row.isa = place_of(*entry.kernel);
    row.error_growth = entry.kernel->error_growth;
    return row;
}

KernelReport compare_kernels(const KernelSuiteOptions& options, const KernelSelection& selection, Device& device,
                             const std::function<void(const KernelMeasurement&)>& progress) {
    KernelReport report;
    report.left_out = selection.left_out;
    report.threads = device.threads();
    report.isa = to_string(device.target());
    report.untimed = "emulated GPU: nothing was timed";
    for (const KernelSuiteEntry& entry : selection.entries) {
        KernelMeasurement row = without_figures(entry);
        try {
            if (options.check && !entry.problem.bench_only) {
                const ProblemData data(entry.problem, DataKind::random, 1);
                const double k = tolerance_of(entry.problem, *entry.kernel);
                const Comparison result = check_kernel_on(device, *entry.kernel, data, Oracle(data), k, false);
                row.error_eps = result.worst;
                if (!result.ok) row.failure = result.message;
            }
        } catch (const Error& error) {
            row.failure = error.what();
        }
        report.rows.push_back(std::move(row));
        if (progress) progress(report.rows.back());
    }
    return report;
}

void require_same_result(KernelCase& ours, KernelPeer& peer) {
    ours.run();
    peer.run();
    for (int i = 0; i < ours.args().n_out; ++i) {
        const KernelTensor& mine = ours.args().out[i];
        AlignedBuffer memory(static_cast<size_t>(stored_bytes_of(mine)));
        KernelTensor theirs = mine;
        theirs.data = memory.data();
        peer.read_output(i, memory.data());
        double largest = 0, difference = 0;
        for (int64_t e = 0; e < elements_of(mine); ++e) {
            largest = std::max(largest, std::fabs(element(mine, e)));
            difference = std::max(difference, std::fabs(element(mine, e) - element(theirs, e)));
        }
        if (!(difference <= 1e-4 * largest))
            throw Error("the peer computes something else: " + std::to_string(difference) + " of " + std::to_string(largest),
                        to_string(ours.args()));
    }
}

}  // namespace xbench
