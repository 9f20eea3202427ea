// Every row for CUDA against the double-precision reference, on every problem that it supports (kernels/*/problems.cfg),
// with operands in the device's memory. Run on a GPU where there is one and, under CTest, on the emulated GPU in each of its
// modes.
#include <gtest/gtest.h>

#include <cstring>

#include "core/error.h"
#include "core/rng.h"
#include "emulated_gpu.h"
#include "kernels/cases/device_data.h"
#include "kernels/cuda/devices.h"
#include "kernels/leaf_tree.h"
#include "problems.h"

namespace xbench {
namespace {

class GpuKernels : public testing::Test {
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

    std::vector<const Kernel*> rows_for(const LayerProblem& problem) const {
        std::vector<const Kernel*> rows;
        for (const Kernel& kernel : kernel_table())
            if (kernel.op == problem.op && runs_on(kernel, device_->target()) && supports(kernel, problem.problem()))
                rows.push_back(&kernel);
        return rows;
    }

    void compare_rows(const LayerProblem& problem, DataKind kind) {
        const auto rows = rows_for(problem);
        if (rows.empty()) return;
        const ProblemData data(problem, kind, 1);
        const Oracle oracle(data, kind != DataKind::exact);
        for (const Kernel* kernel : rows) {
            if (kind == DataKind::exact && kernel->error_growth != 1) continue;
            const double k = kind == DataKind::exact ? 0 : tolerance_of(problem, *kernel);
            SCOPED_TRACE(row_name(*kernel) + "\n  " + problem.text());
            try {
                const Comparison result = check_kernel_on(*device_, *kernel, data, oracle, k, !system_.emulated);
                EXPECT_TRUE(result.ok) << result.message;
            } catch (const Error& error) {
                ADD_FAILURE() << error.what();
                test::forgive_emulator();
            }
            expect_no_reports();
        }
    }

    GpuSystem system_;
    std::unique_ptr<Device> device_;
    unsigned long long reports_ = 0;
};

TEST_F(GpuKernels, EveryRowAgreesWithTheReference) {
    for (const LayerProblem& problem : all_problems()) compare_rows(problem, DataKind::random);
}

TEST_F(GpuKernels, RowsAreExactOnSmallIntegers) {
    for (const LayerProblem& problem : all_problems())
        if (is_exact(problem)) compare_rows(problem, DataKind::exact);
}

TEST_F(GpuKernels, ASumOfAddendsHasTheBitsOfTheCpu) {
    Cpu cpu;
    for (const int count : {1, 2, 3, 5, 8}) {
        const size_t elements = 1003;
        std::vector<std::vector<float>> here;
        std::vector<AlignedBuffer> there;
        std::vector<const float*> from_here, from_there;
        std::vector<uint8_t> merges;
        Random random(7, RandomUse::test_data, static_cast<uint32_t>(count));
        for (int k = 0; k < count; ++k) {
            here.emplace_back();
            for (size_t i = 0; i < elements; ++i) here.back().push_back(random.uniform(-1, 1));
            there.push_back(device_->allocate(elements * sizeof(float)));
            device_->copy(there.back().data(), here.back().data(), elements * sizeof(float));
            merges.push_back(static_cast<uint8_t>(leaf_tree_merges(k)));
        }
        for (int k = 0; k < count; ++k) from_here.push_back(here[static_cast<size_t>(k)].data());
        for (const AlignedBuffer& buffer : there) from_there.push_back(buffer.as<float>());
        std::vector<float> expected(elements), actual(elements);
        cpu.sum({from_here.data(), count, merges.data()}, expected.data(), elements);
        device_->sum({from_there.data(), count, merges.data()}, there[0].as<float>(), elements);
        device_->copy(actual.data(), there[0].data(), elements * sizeof(float));
        device_->wait();
        EXPECT_EQ(std::memcmp(actual.data(), expected.data(), elements * sizeof(float)), 0) << count << " addends";
    }
}

TEST_F(GpuKernels, MemoryThatIsTooMuchIsRefusedWithWhatIsFree) {
    try {
        device_->allocate(size_t{1} << 46);
        FAIL() << "64 TiB";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("are free"), std::string::npos) << error.what();
    }
}

}  // namespace
}  // namespace xbench
