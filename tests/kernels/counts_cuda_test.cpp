// What the rows for CUDA move, counted on the emulated GPU at the shapes of the small models' layers: global memory in whole
// sectors, each operand about once, and shared memory without conflicts of its banks.
#include <gtest/gtest.h>

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <string>

#include "emulated_gpu.h"
#include "kernels/cases/device_data.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/devices.h"
#include "problems.h"

namespace xbench {
namespace {

// Of all launches of one call of a row.
struct Counts {
    double sectors = 0, ideal_sectors = 0, wavefronts = 0, ideal_wavefronts = 0, local = 0;
};

class GpuCounts : public testing::Test {
protected:
    void SetUp() override {
        const GpuSystem system = query_gpus();
        if (!system.why_not.empty()) GTEST_SKIP() << system.why_not;
        if (!system.emulated) GTEST_SKIP() << "a real GPU counts nothing here";
        device_ = std::make_unique<CudaDevice>(0);
        mode_ = test::function_of_emulator<void(int, int, int)>("emu_mode");
        mode_(0, 1, 1);
    }
    void TearDown() override {
        if (mode_) mode_(0, 0, 0);
    }

    // Classes of instructions, and what is counted of each: tests/gpu_emulator/libcuda_tests.cpp.
    using ByClass = std::array<std::array<unsigned long long, 7>, 32>;
    static constexpr size_t local = 11;

    Counts counts_of(const Kernel& kernel, const LayerProblem& problem) {
        ProblemData here(problem, DataKind::random, 1);
        DeviceData there(here, kernel, *device_, false);
        there.send();
        there.launch();  // loads what it needs
        device_->wait();
        const auto reset = test::function_of_emulator<void(CUfunction)>("emu_reset_counts");
        device_->gpu().for_each_loaded([&](const CudaFunction&, CUfunction function) { reset(function); });
        there.launch();
        device_->wait();
        const auto read = test::function_of_emulator<void(CUfunction, unsigned long long(*)[7])>("emu_counts");
        Counts counts;
        device_->gpu().for_each_loaded([&](const CudaFunction&, CUfunction function) {
            ByClass by_class{};
            read(function, reinterpret_cast<unsigned long long(*)[7]>(by_class.data()));
            for (size_t c = 0; c < by_class.size(); ++c) {
                counts.sectors += static_cast<double>(by_class[c][2]);
                counts.ideal_sectors += static_cast<double>(by_class[c][3]);
                counts.wavefronts += static_cast<double>(by_class[c][4]);
                counts.ideal_wavefronts += static_cast<double>(by_class[c][5]);
            }
            counts.local += static_cast<double>(by_class[local][0]);
        });
        return counts;
    }

    std::unique_ptr<CudaDevice> device_;
    void (*mode_)(int, int, int) = nullptr;
};

// Each operand read or written once; what is updated in place both.
double compulsory_sectors(const LayerProblem& problem) {
    double sectors = 0;
    for (const auto* operands : {&problem.in, &problem.out})
        for (const KernelTensor& tensor : *operands)
            if (tensor.rank > 0) sectors += std::ceil(static_cast<double>(stored_bytes_of(tensor)) / 32);
    if (problem.op == OpKind::adam || problem.op == OpKind::sgd)
        for (const KernelTensor& tensor : problem.out)
            sectors += std::ceil(static_cast<double>(stored_bytes_of(tensor)) / 32);
    return sectors;
}

bool is_of_small_model(const LayerProblem& problem) {
    for (const char* const model : {"pneumonia", "fracture", "rsna", "cifar", "nih"})
        if (problem.name.rfind(model, 0) == 0) return true;
    return false;
}

const Kernel* chosen(const LayerProblem& problem, const Target& target) {
    for (const Kernel& kernel : kernel_table())
        if (kernel.op == problem.op && runs_on(kernel, target) && is_candidate(kernel, problem.problem())) return &kernel;
    return nullptr;
}

TEST_F(GpuCounts, LayersOfTheSmallModelsMoveWhatTheyMust) {
    for (const LayerProblem& problem : all_problems()) {
        if (!is_of_small_model(problem)) continue;
        const Kernel* const kernel = chosen(problem, device_->target());
        if (!kernel) continue;
        const Counts counts = counts_of(*kernel, problem);
        const double compulsory = compulsory_sectors(problem);
        fmt::print("{:5.2f} {:5.2f} {:5.2f} {:9.0f} {} {}\n", counts.sectors / compulsory,
                   counts.sectors / std::max(counts.ideal_sectors, 1.0),
                   counts.ideal_wavefronts > 0 ? counts.wavefronts / counts.ideal_wavefronts : 1.0, counts.sectors,
                   row_name(*kernel), problem.text());
    }
}

}  // namespace
}  // namespace xbench
