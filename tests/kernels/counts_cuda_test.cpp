// What the rows for CUDA move, counted on the emulated GPU at the shapes of the small models' layers: global memory in whole
// sectors, each operand about once, and shared memory without conflicts of its banks. With XBENCH_PRINT_COUNTS=1 it prints a
// table: layer, operator, row, sectors, these by those of all operands once, by those of the same accesses side by side,
// passes over the banks by those without conflicts.
#include <gtest/gtest.h>

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>

#include "counted_calls.h"
#include "kernels/cuda/devices.h"
#include "kernels/products.h"
#include "problems.h"

namespace xbench {
namespace {

class GpuCounts : public testing::Test {
protected:
    void SetUp() override {
        const GpuSystem system = query_gpus();
        if (!system.why_not.empty()) GTEST_SKIP() << system.why_not;
        if (!system.emulated) GTEST_SKIP() << "a real GPU counts nothing here";
        device_ = make_cuda_device(0);
    }
    std::unique_ptr<Device> device_;
};

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

// How much more than its operands an operator may move, in layers of at least so many sectors that its own tables and rims
// do not count, and how many more passes over the banks of shared memory it may need than there were without conflicts.
struct Bound {
    OpKind op;
    double sectors, wavefronts;
};
// Convolutions and their gradients read a rim around each tile and filters for each block; filter gradients write partial
// sums for each image. The small batches of these lists make more of both than a training's do.
constexpr Bound bounds[] = {
    {OpKind::relu, 1.01, 1},
    {OpKind::relu_grad, 1.01, 1},
    {OpKind::flatten, 1.01, 1},
    {OpKind::reorder, 1.01, 1},
    {OpKind::adam, 1.01, 1},
    {OpKind::dropout, 1.25, 1},
    {OpKind::dropout_grad, 1.25, 1},
    {OpKind::batchnorm_statistics, 1.15, 1},
    {OpKind::batchnorm_apply, 1.15, 1},
    {OpKind::batchnorm_grad_statistics, 1.15, 1},
    {OpKind::batchnorm_grad_input, 1.15, 1},
    {OpKind::batchnorm_pool_apply, 1.05, 1},
    {OpKind::batchnorm_pool_grad_statistics, 1.15, 1},
    {OpKind::batchnorm_pool_grad_input, 1.05, 1},
    {OpKind::max_pool2d, 1.2, 1},
    {OpKind::max_pool2d_grad, 1.15, 1},
    {OpKind::conv2d_statistics, 1.25, 1.05},
    {OpKind::linear, 1.75, 1},
    {OpKind::linear_dgrad, 1.8, 1},
    {OpKind::linear_wgrad, 1.45, 1},
    {OpKind::conv2d, 1.4, 1.1},
    {OpKind::conv2d_dgrad, 1.9, 1.1},
    {OpKind::conv2d_pool, 1.25, 1.1},
    {OpKind::conv2d_wgrad, 5.3, 1.2},
    {OpKind::conv2d_pool_wgrad, 2, 1.25},
    {OpKind::conv2d_batchnorm_pool_wgrad, 2, 1.95},
};
constexpr double least_sectors = 8000;

// fracture_cnn has images of odd width, rows of which are no whole sectors, and few pixels for its filters; 14 columns are
// no whole sectors either; nih_cnn's last convolution has stride 2, which the general rows compute. Rows of the tensor cores
// are given plain images here, which they copy to nhwc first.
bool is_exempt(const LayerProblem& problem) {
    return problem.name.rfind("fracture", 0) == 0 || problem.name.rfind("nih_cnn.last", 0) == 0 ||
           problem.name == "nih.f.12" || products_of(problem.problem()) != DType::f32;
}

const Bound* bound_of(OpKind op) {
    for (const Bound& bound : bounds)
        if (bound.op == op) return &bound;
    return nullptr;
}

TEST_F(GpuCounts, LayersOfTheSmallModelsMoveLittleMoreThanTheyMust) {
    const bool prints = std::getenv("XBENCH_PRINT_COUNTS") != nullptr;
    int bounded = 0;
    test::CountedCalls calls(*device_);
    for (const LayerProblem& problem : all_problems()) {
        const Kernel* const kernel = is_of_small_model(problem) ? chosen(problem, device_->target()) : nullptr;
        const double compulsory = test::sectors_of_operands(problem);
        const Bound* const bound = bound_of(problem.op);
        const bool checks = bound && compulsory >= least_sectors && !is_exempt(problem);
        if (!kernel || (!checks && !prints)) continue;
        const test::CallCounts counts = calls.of(*kernel, problem);
        const double sectors = counts.accessed / compulsory;
        const double wavefronts = counts.ideal_wavefronts > 0 ? counts.wavefronts / counts.ideal_wavefronts : 1;
        if (prints)
            fmt::print("{},{},{},{:.0f},{:.3f},{:.3f},{:.3f}\n", problem.name, name_of(problem.op), kernel->name,
                       counts.accessed, sectors, counts.accessed / std::max(counts.side_by_side, 1.0), wavefronts);
        EXPECT_EQ(counts.local, 0) << "local memory, " << row_name(*kernel) << " " << problem.text();
        if (!checks) continue;
        EXPECT_LE(sectors, bound->sectors) << row_name(*kernel) << " " << problem.text();
        EXPECT_LE(wavefronts, bound->wavefronts + 1e-3) << row_name(*kernel) << " " << problem.text();
        ++bounded;
    }
    EXPECT_GT(bounded, 40);
}

}  // namespace
}  // namespace xbench
