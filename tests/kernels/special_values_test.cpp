// Numbers that are not finite go through every kernel as IEEE 754 says, and batch normalisation's variances hold where the
// running mean is far away.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "kernels/cases/compare.h"
#include "kernels/run.h"
#include "problems.h"

namespace xbench {
namespace {

constexpr int64_t most_elements = 6000;  // of a problem's operands: the reference is slow

bool is_small(const ProblemData& data) {
    int64_t all = 0;
    for (int i = 0; i < data.args().n_in; ++i) all += elements_of(data.args().in[i]);
    return all <= most_elements;
}

// Where the oracle's result is no finite number, the row's is none either. A transform spreads NaN over a tile: the opposite
// need not hold.
void expect_spread(const Kernel& kernel, const ProblemData& data, const ProblemData& expected, const char* what) {
    ProblemData run(data);
    run.reset_outputs();
    run_kernel(kernel, run.args(), 1);
    for (int o = 0; o < run.args().n_out; ++o) {
        const KernelTensor &is = run.args().out[o], &should = expected.args().out[o];
        if (is.dtype == DType::u8) continue;
        for (int64_t i = 0; i < elements_of(is); ++i) {
            if (std::isfinite(element(should, i))) continue;
            ASSERT_FALSE(std::isfinite(element(is, i))) << row_name(kernel) << " loses " << what << " in output " << o << "["
                                                        << i << "]\n  " << data.problem().text();
        }
    }
}

TEST(SpecialValues, NanAndInfinityReachTheOutputsThatDependOnThem) {
    std::mt19937 random(20261130);
    int tried = 0;
    for (const LayerProblem& problem : all_problems()) {
        const ProblemData clean(problem, DataKind::random, 1);
        if (!is_small(clean)) continue;
        for (int operand = 0; operand < clean.args().n_in; ++operand) {
            const KernelTensor& t = clean.args().in[operand];
            if (t.dtype != DType::f32 || elements_of(t) == 0) continue;
            const auto at = static_cast<int64_t>(random() % static_cast<uint64_t>(elements_of(t)));
            for (const double value : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
                ProblemData data(clean);
                set_element(data.args().in[operand], at, value);
                ProblemData expected = data.in_double();
                expected.reset_outputs();
                run_kernel(reference(problem.op), expected.args(), 1);
                for (const Kernel* kernel : rows_for(problem))
                    expect_spread(*kernel, data, expected, std::isnan(value) ? "NaN" : "Inf");
                ++tried;
            }
        }
    }
    EXPECT_GT(tried, 200);
}

// y = x + many standard deviations, the running mean at 0: the sums about it must still give the variance.
TEST(SpecialValues, VariancesHoldFarFromTheRunningMean) {
    int rows = 0;
    for (const LayerProblem& problem : all_problems()) {
        if (problem.op != OpKind::batchnorm_statistics && problem.op != OpKind::conv2d_statistics) continue;
        const bool convolution = problem.op == OpKind::conv2d_statistics;
        ProblemData data(problem, DataKind::random, 5);
        if (!is_small(data)) continue;
        const int mean_at = convolution ? 3 : 1;
        const KernelTensor* const bias = convolution && data.args().n_in > 2 ? &data.args().in[2] : nullptr;
        if (convolution && (!bias || !bias->data)) continue;
        for (const double mean : {100.0, 1000.0}) {
            if (bias)
                for (int64_t k = 0; k < elements_of(*bias); ++k) set_element(*bias, k, mean);
            else
                for (int64_t i = 0; i < elements_of(data.args().in[0]); ++i)
                    set_element(
                        data.args().in[0], i,
                        mean + element(data.args().in[0], i) - std::round(element(data.args().in[0], i) / 100) * 100);
            const KernelTensor& shift = data.args().in[mean_at];
            for (int64_t c = 0; c < elements_of(shift); ++c) set_element(shift, c, 0);
            for (const Kernel* kernel : rows_for(problem)) {
                ProblemData run(data);
                run.reset_outputs();
                run_kernel(*kernel, run.args(), 1);
                const KernelTensor& y = convolution ? run.args().out[0] : run.args().in[0];
                const KernelTensor& sums = run.args().out[convolution ? 1 : 0];
                const int64_t channels = y.dim[1], pixels = y.dim[2] * y.dim[3], count = y.dim[0] * pixels;
                for (int64_t c = 0; c < channels; ++c) {
                    double exact_mean = 0, exact = 0;
                    const auto each = [&](auto&& f) {
                        for (int64_t n = 0; n < y.dim[0]; ++n)
                            for (int64_t i = 0; i < pixels; ++i) f(element(y, (n * channels + c) * pixels + i));
                    };
                    each([&](double v) { exact_mean += v / static_cast<double>(count); });
                    each([&](double v) { exact += (v - exact_mean) * (v - exact_mean) / static_cast<double>(count); });
                    const double first = element(sums, c) / static_cast<double>(count),
                                 second = element(sums, channels + c) / static_cast<double>(count);
                    if (exact < 1e-3) continue;
                    ASSERT_NEAR((second - first * first) / exact, 1, 1e-4)
                        << row_name(*kernel) << ", mean " << mean << ", channel " << c << "\n  " << problem.text();
                }
                ++rows;
            }
        }
    }
    EXPECT_GT(rows, 8);
}

}  // namespace
}  // namespace xbench
