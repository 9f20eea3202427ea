// The rows of the tensor cores against the double-precision reference: the problems of convolutions and linear layers whose
// products are bf16, in each type of products and each order of the filters, and others in one. In every mode of the
// emulated GPU.
#include <gtest/gtest.h>

#include <cstring>

#include "core/error.h"
#include "emulated_gpu.h"
#include "kernels/cases/device_data.h"
#include "kernels/cuda/devices.h"
#include "kernels/op.h"
#include "kernels/products.h"
#include "problems.h"

namespace xbench {
namespace {

LayerProblem in_products(LayerProblem problem, DType products) {
    if (auto* conv = std::get_if<Conv2d>(&problem.attrs)) conv->products = products;
    if (auto* linear = std::get_if<Linear>(&problem.attrs)) linear->products = products;
    return problem;
}

// Images in nhwc, filters as they are.
LayerProblem with_plain_filters(LayerProblem problem) {
    KernelTensor& filters = problem.op == OpKind::conv2d_wgrad ? problem.out[0] : problem.in[1];
    if (filters.rank == 4) filters.layout = Layout::plain;
    return problem;
}

bool is_product(OpKind op) {
    switch (op) {
        case OpKind::conv2d:
        case OpKind::conv2d_dgrad:
        case OpKind::conv2d_wgrad:
        case OpKind::linear:
        case OpKind::linear_dgrad:
        case OpKind::linear_wgrad: return true;
        default: return false;
    }
}

// The emulated GPU and the oracle are slow: of the problems in f32 those of few products.
std::vector<LayerProblem> tensor_core_problems() {
    std::vector<LayerProblem> all;
    for (const LayerProblem& problem : all_problems()) {
        if (!is_product(problem.op) || problem.in[0].layout != Layout::plain || problem.in[1].layout == Layout::nchw16c ||
            problem.out[0].layout == Layout::nchw16c)
            continue;
        const LayerProblem nhwc = in_nhwc(problem);
        const double flops = op_def(problem.op).work(problem.problem()).flops;
        if (products_of(problem.problem()) != DType::bf16) {
            if (flops < 4e6) all.push_back(in_products(nhwc, all.size() % 2 ? DType::bf16 : DType::tf32));
            continue;
        }
        for (const DType products : {DType::bf16, DType::f16, DType::tf32})
            if (flops < 8e6 || products == DType::bf16)
                all.push_back(products == DType::f16 ? with_plain_filters(in_products(nhwc, products))
                                                     : in_products(nhwc, products));
    }
    return all;
}

class GpuKernelsOfTensorCores : public testing::Test {
protected:
    void SetUp() override {
        system_ = query_gpus();
        if (!system_.why_not.empty()) GTEST_SKIP() << system_.why_not;
        device_ = make_cuda_device(0);
        reports_ = test::reports_of_emulator();
    }
    void TearDown() override { expect_no_reports(); }
    void expect_no_reports() {
        const auto now = test::reports_of_emulator();
        if (now != reports_) ADD_FAILURE() << now - reports_ << " reports, the last: " << test::last_report_of_emulator();
        reports_ = now;
    }
    const Kernel* row_for(const LayerProblem& problem) const {
        for (const Kernel& kernel : kernel_table())
            if (kernel.op == problem.op && runs_on(kernel, device_->target()) && supports(kernel, problem.problem()))
                return &kernel;
        return nullptr;
    }
    void compare(const LayerProblem& problem, DataKind kind) {
        const Kernel* const kernel = row_for(problem);
        if (!kernel) return;
        SCOPED_TRACE(row_name(*kernel) + "\n  " + problem.text());
        const ProblemData data(problem, kind, 1);
        const Oracle oracle(data, kind != DataKind::exact);
        const double k = kind == DataKind::exact ? 0 : tolerance_of(problem, *kernel);
        try {
            const Comparison result = check_kernel_on(*device_, *kernel, data, oracle, k, !system_.emulated);
            EXPECT_TRUE(result.ok) << result.message;
        } catch (const Error& error) {
            ADD_FAILURE() << error.what();
            test::forgive_emulator();
        }
        ++compared_;
        expect_no_reports();
    }
    std::vector<float> result_of(const Kernel& kernel, ProblemData& data, int output) {
        data.reset_outputs();
        DeviceData there(data, kernel, *device_, false);
        there.launch();
        there.fetch();
        const auto* const values = static_cast<const float*>(data.args().out[output].data);
        return {values, values + elements_of(data.args().out[output])};
    }

    GpuSystem system_;
    std::unique_ptr<Device> device_;
    unsigned long long reports_ = 0;
    int compared_ = 0;
};

TEST_F(GpuKernelsOfTensorCores, AgreeWithTheReference) {
    for (const LayerProblem& problem : tensor_core_problems()) compare(problem, DataKind::random);
    EXPECT_GT(compared_, 200);
}

TEST_F(GpuKernelsOfTensorCores, AreExactOnSmallIntegers) {
    for (const LayerProblem& problem : tensor_core_problems())
        if (products_of(problem.problem()) == DType::f16) compare(problem, DataKind::exact);
    EXPECT_GT(compared_, 50);
}

}  // namespace
}  // namespace xbench
