// What a call of a row for CUDA did on the emulated GPU, counted over all its launches: for tests of traffic and of matrix
// products. Sectors are 32 bytes of global memory.
#pragma once

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "emulated_gpu.h"
#include "kernels/cases/device_data.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/op.h"
#include "tests/gpu_emulator/counts.h"

namespace xbench::test {

struct CallCounts {
    double accessed = 0;  // sectors, each access of a warp by itself: what its loads and stores ask for
    double distinct = 0;  // different sectors of each launch, read and written: what caches without limits would let through
    double side_by_side = 0;  // sectors, if the bytes of each access lay side by side
    double wavefronts = 0, ideal_wavefronts = 0;
    double matrix_flops = 0;  // of the tensor cores, padding included
    double local = 0;         // accesses of local memory
};

// Counts from here on; plain mode again when it goes.
class CountedCalls {
public:
    explicit CountedCalls(CudaDevice& device) : device_(device) { mode(1); }
    ~CountedCalls() { mode(0); }
    CountedCalls(const CountedCalls&) = delete;
    CountedCalls& operator=(const CountedCalls&) = delete;

    CallCounts of(const Kernel& kernel, const LayerProblem& problem) {
        ProblemData here(problem, DataKind::random, 1);
        DeviceData there(here, kernel, device_, false);
        reset();
        there.launch();
        device_.wait();
        return read();
    }

private:
    static void mode(int counts) { function_of_emulator<void(int, int, int)>("emu_mode")(0, counts, 1); }
    // Of what was loaded so far; what the call loads begins with nothing.
    void reset() {
        const auto reset_counts = function_of_emulator<void(CUfunction)>("emu_reset_counts");
        device_.gpu().for_each_loaded([&](const CudaFunction&, CUfunction function) { reset_counts(function); });
    }
    CallCounts read() {
        const auto counts_of = function_of_emulator<void(CUfunction, ptx::KernelCounts*)>("emu_kernel_counts");
        CallCounts all;
        std::set<std::string> seen;  // two rows may launch one kernel
        device_.gpu().for_each_loaded([&](const CudaFunction& kernel, CUfunction function) {
            if (!seen.insert(std::string(kernel.stem) + "." + kernel.name).second) return;
            ptx::KernelCounts c{};
            counts_of(function, &c);
            const auto number = [](uint64_t value) { return static_cast<double>(value); };
            all.accessed += number(c.global_sectors);
            all.distinct += number(c.compulsory_read_sectors + c.compulsory_write_sectors);
            all.side_by_side += number(c.ideal_sectors);
            all.wavefronts += number(c.shared_wavefronts), all.ideal_wavefronts += number(c.ideal_shared_wavefronts);
            all.matrix_flops += number(c.bf16_matrix_flops + c.f16_matrix_flops + c.tf32_matrix_flops);
            all.local += number(c.local_accesses);
        });
        return all;
    }

    CudaDevice& device_;
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
        bool among_inputs = false;
        for (const Operand& in : names.in) among_inputs = among_inputs || in.name == names.out[i].name;
        sum += sectors(problem.out[i]) * (names.out[i].in_place && !among_inputs ? 2 : 1);
    }
    return sum;
}

}  // namespace xbench::test
