// One launch of each row, counted.
#include "bench/kernels/prediction_suite.h"

#include "kernels/cases/device_data.h"

namespace xbench {

std::vector<PredictedRow> predict_kernels(const KernelSuiteOptions& options, std::span<const LayerProblem> problems,
                                          Device& device, const GpuChip& chip,
                                          const std::function<void(const PredictedRow&)>& progress) {
    GpuCounter counter(device);
    std::vector<PredictedRow> rows;
    for (const KernelSuiteEntry& entry : select_entries(problems, options, device.target()).entries) {
        ProblemData here(entry.problem, DataKind::random, 1);
        DeviceData there(here, *entry.kernel, device, false);
        there.send();
        device.wait();
        counter.take();
        there.launch();
        device.wait();
        PredictedRow row{entry.name, entry.kernel->name, {}};
        for (const CountedRow& counted : counter.take()) row.prediction += predict(counted, chip);
        rows.push_back(std::move(row));
        if (progress) progress(rows.back());
    }
    return rows;
}

}  // namespace xbench
