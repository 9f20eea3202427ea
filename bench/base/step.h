// One model's whole training step, the trainer's own (parallel/train/training_step.h), on random data in one process, timed:
// forward, loss, backward, optimizer; no loading, no communication.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bench/base/gpu_prediction.h"
#include "core/config.h"
#include "core/json.h"
#include "kernels/device.h"

namespace xbench {

struct StepBenchOptions {
    ModelConfig model;
    int64_t batch = 0;  // 0: the published one
    int threads = 1;
    double seconds = 3;         // of timed steps, after the warm-up
    int64_t virtual_ranks = 8;  // leaves of the batch, at most the batch
    std::string reduction = "invariant";
    std::string precision = "fp32";  // fp32 | bf16
    std::vector<Choice> forced;      // implementations asked for by name
    bool activation_checkpointing = false;
    bool profile = false;  // the time of every step of the plan too
    std::string device = "cpu";
    std::string predict;  // a GPU that is not here (bench/base/gpu_prediction.h); empty: nothing is predicted
};

struct StepTiming {
    int64_t batch = 0, steps = 0;
    int threads = 1;
    std::string isa;
    double step_ms_median = 0, step_ms_low = 0, step_ms_high = 0;  // 95% interval of the median
    double images_per_second = 0;                                  // batch / median
    double flops_per_step = 0;                                     // of convolutions and linear layers
    double peak_gflops = 0;  // fused multiply-adds on these threads, measured before and after the steps; 0 on a GPU
    double share_of_peak = 0;
    bool emulated = false;                                // the GPU was that of the tests: there are no times
    std::vector<std::pair<std::string, double>> profile;  // plan step -> median microseconds
    std::vector<PredictedRow> predicted;                  // every row of one step on the GPU that `predict` names
};

StepTiming measure_step(const StepBenchOptions& options);
Json to_json(const StepTiming& timing, const StepBenchOptions& options);  // the keys of `xbench step --json`

// GFLOP/s of a device that does nothing but fused multiply-adds in registers: best of a few short runs; 0: none is known.
double measure_fma_peak(Device& device);

}  // namespace xbench
