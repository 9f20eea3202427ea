// How long a kernel would take on a GPU that is not here, and what bounds it there: from what the emulated GPU counted and
// the chip's published rates. Predicted, never measured: it stands under that heading alone, and beside no measured time.
//
// A launch takes as long as its busiest resource: matrix units, instruction issue, f32 units, shared memory, second-level
// cache, memory, or the latency of its warps where there are too few to hide it. Each resource is taken to run at its
// published peak, all of them to overlap fully, and work to be spread over the multiprocessors in whole blocks. For latency
// each instruction of a warp is taken to wait for the one before, which is too much for kernels that have independent ones.
// Which resource binds is the finding; the time is no more than an estimate.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "kernels/cuda/gpu_counts.h"

namespace xbench {

// Rates of a whole chip; flops and bytes a second, cycles of `clock_hz`.
struct GpuChip {
    std::string name, source;  // "A100 SXM4 80GB", where its rates stand
    int compute_capability = 80;
    double multiprocessors = 0, clock_hz = 0;
    double half_matrix_flops = 0, tf32_matrix_flops = 0;  // dense; half: bf16 and f16
    double memory_bytes = 0;
    double l2_bytes_per_cycle = 0;
    double issues_per_cycle = 4;             // warp instructions of a multiprocessor
    double f32_per_cycle = 0;                // lanes of a multiprocessor with a fused multiply-add in a cycle
    double shared_wavefronts_per_cycle = 1;  // of a multiprocessor, 128 bytes each
    double dependent_cycles = 4;             // between two instructions of a warp of which one needs the other
};
// "a100" or "h200". Throws UsageError that names the known ones.
const GpuChip& find_gpu_chip(const std::string& name);

struct GpuPrediction {
    double seconds = 0;
    std::string bound;    // of the longest kernel: "matrix", "issue", "f32", "shared", "L2", "memory", "latency"
    double launches = 0;  // of kernels; the time between them is in no rate and not in `seconds`
    GpuPrediction& operator+=(const GpuPrediction& other);

private:
    double longest_ = 0;
    friend GpuPrediction predict(const GpuCounts&, const GpuChip&);
};
GpuPrediction predict(const GpuCounts& counts, const GpuChip& chip);  // of its launches, one after the other
GpuPrediction predict(const CountedRow& row, const GpuChip& chip);

struct PredictedRow {
    std::string name;  // of the layer or the operation
    std::string row;
    GpuPrediction prediction;
};
// A table, and below it what the times are and where the chip's rates come from. With a total it ends with their sum.
std::string predicted_text(std::span<const PredictedRow> rows, const GpuChip& chip, bool total);

}  // namespace xbench
