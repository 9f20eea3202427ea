// Every row for CUDA against the double-precision reference, on every problem that it supports (kernels/*/problems.cfg),
// with operands in the device's memory. Run on a GPU where there is one and, under CTest, on the emulated GPU in each of its
// modes.
#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "gpu_rows.h"

namespace xbench {
namespace {

class GpuKernels : public GpuRows {};

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

bool is_plain(const LayerProblem& problem) {
    for (const auto* operands : {&problem.in, &problem.out})
        for (const KernelTensor& tensor : *operands)
            if (tensor.rank > 0 && tensor.layout != Layout::plain) return false;
    return true;
}

// Two GPUs with four leaves each add to the same bits as one with all eight.
TEST_F(GpuKernels, SumsOverImagesAreTheSameTreeForAnyNumberOfGpus) {
    int compared = 0;
    for (const LayerProblem& problem : all_problems()) {
        if (!sums_over_images(problem.op) || !splits(problem) || !is_plain(problem)) continue;
        for (const Kernel* kernel : rows_for(problem)) {
            if (kernel->why_missing) continue;  // of a library: its sums know no leaves
            EXPECT_EQ(difference_when_split(*device_, *kernel, problem), "")
                << row_name(*kernel) << "\n  " << problem.text();
            ++compared;
        }
    }
    EXPECT_GT(compared, 20);
}

// Outputs that are sums over images. "" or which of them is not 0.
std::string what_is_not_zero(const ProblemData& data) {
    const LayerProblem& problem = data.problem();
    for (size_t o = 0; o < problem.out.size(); ++o) {
        if (problem.out[o].rank == 0 || operands_of(problem.op).out[o].per_image) continue;
        const KernelTensor& sums = data.args().out[o];
        for (int64_t i = 0; i < elements_of(sums); ++i)
            if (element(sums, i) != 0) return "output " + std::to_string(o) + ", element " + std::to_string(i);
    }
    return "";
}

// Of a short batch a rank may have no image at all: every row, in either layout, ends well and adds nothing.
TEST_F(GpuKernels, ARankWithoutImagesAddsNothing) {
    std::set<std::pair<const Kernel*, DType>> seen;
    for (const LayerProblem& listed : all_problems())
        for (const LayerProblem& whole : {listed, in_nhwc(listed), with_plain_filters(in_nhwc(listed))}) {
            const DType products = products_of(whole.problem());
            for (const Kernel* kernel : rows_for(whole)) {
                if (kernel->why_missing || !seen.emplace(kernel, products).second) continue;
                SCOPED_TRACE(row_name(*kernel) + "\n  " + whole.text());
                ProblemData data(without_images(whole), DataKind::random, 9);
                compute_on(*device_, *kernel, data);
                EXPECT_EQ(sums_over_images(whole.op) ? what_is_not_zero(data) : "", "");
            }
        }
    EXPECT_GT(seen.size(), 10u);
}

TEST_F(GpuKernels, ASumOfAddendsHasTheBitsOfTheCpu) {
    for (const int count : {1, 2, 3, 5, 8}) EXPECT_EQ(difference_of_sum(*device_, count), "");
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
