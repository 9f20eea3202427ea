// What a call of a row for CUDA did on the emulated GPU, added up over its launches: for tests of traffic and of matrix
// products. Sectors are 32 bytes of global memory.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/cases/device_data.h"
#include "kernels/cuda/gpu_counts.h"
#include "kernels/op.h"

namespace xbench::test {

struct CallCounts {
    double accessed = 0;  // sectors, each access of a warp by itself: what its loads and stores ask for
    double distinct = 0;  // different sectors of each launch, read and written: what caches without limits would let through
    double side_by_side = 0;  // sectors, if the bytes of each access lay side by side
    double wavefronts = 0, ideal_wavefronts = 0;
    double matrix_flops = 0;  // of the tensor cores, padding included
    double local = 0;         // accesses of local memory
};

// Counts while it lives; plain mode again when it goes.
class CountedCalls {
public:
    explicit CountedCalls(Device& device) : device_(device), counter_(device) {}

    CallCounts of(const Kernel& kernel, const LayerProblem& problem) {
        ProblemData here(problem, DataKind::random, 1);
        DeviceData there(here, kernel, device_, false);
        there.launch();
        CallCounts all;
        const auto number = [](uint64_t value) { return static_cast<double>(value); };
        for (const CountedRow& row : counter_.take())
            for (const auto& [name, c] : row.kernels) {
                all.accessed += number(c.global_sectors);
                all.distinct += number(c.compulsory_read_sectors + c.compulsory_write_sectors);
                all.side_by_side += number(c.ideal_sectors);
                all.wavefronts += number(c.shared_wavefronts);
                all.ideal_wavefronts += number(c.ideal_shared_wavefronts);
                all.matrix_flops += number(c.bf16_matrix_flops + c.f16_matrix_flops + c.tf32_matrix_flops);
                all.local += number(c.local_accesses);
            }
        return all;
    }

private:
    Device& device_;
    GpuCounter counter_;
};

// Sectors of the operands of a call: each once, what is updated in place both read and written.
inline double sectors_of_operands(const LayerProblem& problem) {
    const Operands& names = operands_of(problem.op);
    const auto sectors = [](const KernelTensor& tensor) {
        return tensor.rank > 0 ? std::ceil(static_cast<double>(stored_bytes_of(tensor)) / 32) : 0.0;
    };
    double sum = 0;
    for (const KernelTensor& tensor : problem.in) sum += sectors(tensor);
    for (size_t i = 0; i < problem.out.size(); ++i) {
        const Operand& out = names.out[i];
        const bool among_inputs = std::ranges::any_of(names.in, [&](const Operand& in) { return in.name == out.name; });
        sum += sectors(problem.out[i]) * (out.in_place && !among_inputs ? 2 : 1);
    }
    return sum;
}

}  // namespace xbench::test
