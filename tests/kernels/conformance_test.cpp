// Every row of the registry against the double-precision reference, on every problem that it supports:
// kernels/*/problems.cfg. A row that no problem exercises, and a problem whose expected output says nothing, are failures
// too.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>

#include "kernels/cases/compare.h"
#include "kernels/run.h"
#include "problems.h"

namespace xbench {
namespace {

// The outputs of a run, bit by bit.
std::vector<std::string> bits(const ProblemData& data) {
    std::vector<std::string> all;
    for (int i = 0; i < data.args().n_out; ++i) {
        const KernelTensor& t = data.args().out[i];
        std::string values;
        for (int64_t k = 0; k < elements_of(t); ++k) {
            const double value = element(t, k);
            values.append(reinterpret_cast<const char*>(&value), sizeof value);
        }
        all.push_back(values);
    }
    return all;
}

std::vector<std::string> run_bits(const Kernel& kernel, const ProblemData& data, int threads) {
    ProblemData run(data);
    run_kernel(kernel, run.args(), threads);
    return bits(run);
}

// All rows that support a problem against one run of the oracle. Keeps the largest k that each row needed.
void compare_rows(const LayerProblem& problem, DataKind kind, std::map<std::string, double>& worst) {
    const ProblemData data(problem, kind, 1);
    const Oracle oracle(data, kind != DataKind::exact);
    for (const Kernel* kernel : rows_for(problem)) {
        if (kind == DataKind::exact && kernel->error_growth != 1) continue;  // its products are not exact
        const double k = kind == DataKind::exact ? 0 : tolerance_of(problem, *kernel);
        const Comparison result = check_kernel(*kernel, data, oracle, 1, k);
        EXPECT_TRUE(result.ok) << row_name(*kernel) << "\n  " << problem.text() << "\n  " << result.message;
        worst[row_name(*kernel)] = std::max(worst[row_name(*kernel)], result.worst);
    }
    if (kind == DataKind::exact) return;
    for (int i = 0; i < data.args().n_out; ++i) {
        if (data.args().out[i].dtype == DType::u8) continue;  // positions in a window
        EXPECT_EQ(why_uninformative(oracle.expected.args().out[i]), "") << problem.text() << " output " << i;
    }
}

TEST(Conformance, EveryRowAgreesWithTheReferenceOnProblemsThatSaySomething) {
    std::map<std::string, double> worst;
    for (const LayerProblem& problem : all_problems()) compare_rows(problem, DataKind::random, worst);
    for (const auto& [row, k] : worst) RecordProperty(row, std::to_string(k));
}

TEST(Conformance, ExactOnSmallIntegers) {
    std::map<std::string, double> worst;
    for (const LayerProblem& problem : all_problems())
        if (is_exact(problem)) compare_rows(problem, DataKind::exact, worst);
}

TEST(Conformance, SameBitsForAnyNumberOfThreads) {
    for (const LayerProblem& problem : all_problems()) {
        const ProblemData data(problem, DataKind::random, 3);
        for (const Kernel* kernel : rows_for(problem)) {
            if (is_reference(*kernel) && problem.images() > 3) continue;  // they are slow
            const auto alone = run_bits(*kernel, data, 1);
            for (const int threads : {2, 3})
                EXPECT_TRUE(run_bits(*kernel, data, threads) == alone)
                    << row_name(*kernel) << " with " << threads << " threads\n  " << problem.text();
        }
    }
}

TEST(Conformance, EveryRowIsExercised) {
    std::set<std::string> exercised;
    for (const Kernel& kernel : kernel_table())
        for (const LayerProblem& problem : all_problems())
            if (problem.op == kernel.op &&
                (supports(kernel, problem.problem()) || supports(kernel, in_nhwc(problem).problem()) ||
                 supports(kernel, with_plain_filters(in_nhwc(problem)).problem()) ||
                 supports(kernel, as_first_layer(problem).problem())))
                exercised.insert(row_name(kernel));
    for (const Kernel& kernel : kernel_table())
        EXPECT_TRUE(exercised.count(row_name(kernel)))
            << row_name(kernel) << " is exercised by no problem; add a line to the problems.cfg of its folder";
}

TEST(Conformance, NothingIsSkippedSilently) {
    std::set<std::string> missing;
    for (const Kernel& kernel : kernel_table())
        if (kind_of(kernel) == DeviceKind::cpu && !runs_here(kernel)) missing.insert(name_of(kernel.isa));
    if (!missing.empty()) GTEST_SKIP() << "this processor has no " << *missing.begin() << "; its rows were not run";
}

}  // namespace
}  // namespace xbench
