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
#include "kernels/op.h"
#include "kernels/products.h"
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

    // A library rounds operands as it sees fit: its rows are compared where products are in f32.
    std::vector<const Kernel*> rows_for(const LayerProblem& problem) const {
        std::vector<const Kernel*> rows;
        for (const Kernel& kernel : kernel_table())
            if (kernel.op == problem.op && runs_on(kernel, device_->target()) && supports(kernel, problem.problem()) &&
                !(kernel.why_missing && products_of(problem.problem()) != DType::f32))
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

// A target below 0 is unknown: no loss, no gradient.
TEST_F(GpuKernels, UnknownTargetsAddNothing) {
    for (const char* line : {"bce_with_logits n3 k5", "bce_with_logits n3 k5 nopos", "bce_with_logits n2 k40"}) {
        for (const LayerProblem& problem : parse_problem(line, "test")) {
            const ProblemData data(problem, DataKind::random, 3);
            for (const int64_t unknown : {0, 4, 7}) set_element(data.args().in[1], unknown, -1);
            const Oracle oracle(data, true);
            for (const Kernel* kernel : rows_for(problem)) {
                const Comparison result =
                    check_kernel_on(*device_, *kernel, data, oracle, tolerance_of(problem, *kernel), !system_.emulated);
                EXPECT_TRUE(result.ok) << row_name(*kernel) << ' ' << line << ": " << result.message;
            }
        }
    }
}

// The images of leaves first_leaf .. last_leaf - 1 of a call: what one of several GPUs would be given. Plain operands.
ProblemData part_of(const ProblemData& whole, int32_t first_leaf, int32_t last_leaf) {
    LayerProblem problem = whole.problem();
    const int32_t first = problem.leaf_begin[static_cast<size_t>(first_leaf)];
    problem.leaf_begin.assign(problem.leaf_begin.begin() + first_leaf, problem.leaf_begin.begin() + last_leaf + 1);
    for (int32_t& begin : problem.leaf_begin) begin -= first;
    const Operands& operands = operands_of(problem.op);
    for (size_t i = 0; i < problem.in.size(); ++i)
        if (operands.in[i].per_image && problem.in[i].rank > 0) problem.in[i].dim[0] = problem.leaf_begin.back();
    for (size_t i = 0; i < problem.out.size(); ++i)
        if (operands.out[i].per_image) problem.out[i].dim[0] = problem.leaf_begin.back();
    ProblemData part(problem, DataKind::random, 1);
    for (size_t i = 0; i < problem.in.size(); ++i) {
        const KernelTensor &from = whole.args().in[i], &to = part.args().in[i];
        if (to.rank == 0) continue;
        const int64_t image = stored_bytes_of(to) / to.dim[0];
        std::memcpy(to.data, static_cast<const char*>(from.data) + (operands.in[i].per_image ? first * image : 0),
                    static_cast<size_t>(stored_bytes_of(to)));
    }
    part.step().global_batch = whole.args().step->global_batch;
    part.step().inverse_batch = whole.args().step->inverse_batch;
    return part;
}

bool is_plain(const LayerProblem& problem) {
    for (const auto* operands : {&problem.in, &problem.out})
        for (const KernelTensor& tensor : *operands)
            if (tensor.rank > 0 && tensor.layout != Layout::plain) return false;
    return true;
}

// Of an output that is a sum over images, in its own type.
void expect_sum(const KernelTensor& whole, const KernelTensor& left, const KernelTensor& right) {
    for (int64_t i = 0; i < elements_of(whole); ++i) {
        const double sum = element(left, i) + element(right, i);
        const double expected = whole.dtype == DType::f32 ? static_cast<double>(static_cast<float>(sum)) : sum;
        ASSERT_EQ(element(whole, i), expected) << "element " << i;
    }
}

// Two GPUs with four leaves each add to the same bits as one with all eight.
TEST_F(GpuKernels, SumsOverImagesAreTheSameTreeForAnyNumberOfGpus) {
    int compared = 0;
    for (const LayerProblem& problem : all_problems()) {
        const auto leaves = static_cast<int32_t>(problem.leaf_begin.size()) - 1;
        if (!sums_over_images(problem.op) || leaves < 2 || (leaves & (leaves - 1)) || !is_plain(problem)) continue;
        if (problem.leaf_begin[static_cast<size_t>(leaves / 2)] == 0 ||
            problem.leaf_begin[static_cast<size_t>(leaves / 2)] == problem.images())
            continue;  // one of them would have no image
        for (const Kernel* kernel : rows_for(problem)) {
            if (kernel->why_missing) continue;  // of a library: its sums know no leaves
            SCOPED_TRACE(row_name(*kernel) + "\n  " + problem.text());
            ProblemData whole(problem, DataKind::random, 9);
            ProblemData left = part_of(whole, 0, leaves / 2), right = part_of(whole, leaves / 2, leaves);
            for (ProblemData* data : {&whole, &left, &right}) {
                data->reset_outputs();
                DeviceData there(*data, *kernel, *device_, false);
                there.send();
                there.launch();
                there.fetch();
            }
            for (int32_t o = 0; o < whole.args().n_out; ++o)
                if (!operands_of(problem.op).out[static_cast<size_t>(o)].per_image)
                    expect_sum(whole.args().out[o], left.args().out[o], right.args().out[o]);
            ++compared;
        }
    }
    EXPECT_GT(compared, 20);
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
