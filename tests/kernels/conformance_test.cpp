// Every row of the registry against the double-precision reference, on every problem that it supports:
// kernels/*/problems.cfg. A row that no problem exercises, and a problem whose expected output says nothing, are failures
// too.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>

#include "kernels/compare.h"
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

TEST(Conformance, EveryRowAgreesWithTheReference) {
    std::map<std::string, double> worst;
    for_each_case([&](const Kernel& kernel, const LayerProblem& problem) {
        const ProblemData data(problem, DataKind::random, 1);
        const Comparison result = check_kernel(kernel, data, 1, tolerance_of(problem));
        EXPECT_TRUE(result.ok) << row_name(kernel) << "\n  " << problem.text() << "\n  " << result.message;
        double& k = worst[row_name(kernel)];
        k = std::max(k, result.worst);
    });
    for (const auto& [row, k] : worst) RecordProperty(row, std::to_string(k));
}

TEST(Conformance, ExactOnSmallIntegers) {
    for_each_case([&](const Kernel& kernel, const LayerProblem& problem) {
        if (!is_exact(problem)) return;
        const ProblemData data(problem, DataKind::exact, 2);
        const Comparison result = check_kernel(kernel, data, 1, 0);
        EXPECT_TRUE(result.ok) << row_name(kernel) << "\n  " << problem.text() << "\n  " << result.message;
    });
}

TEST(Conformance, SameBitsForAnyNumberOfThreads) {
    for_each_case([&](const Kernel& kernel, const LayerProblem& problem) {
        if (is_reference(kernel) && problem.op != OpKind::batchnorm_statistics) return;  // one is enough: they are slow
        const ProblemData data(problem, DataKind::random, 3);
        const auto alone = run_bits(kernel, data, 1);
        for (const int threads : {2, 3})
            EXPECT_TRUE(run_bits(kernel, data, threads) == alone)
                << row_name(kernel) << " with " << threads << " threads\n  " << problem.text();
    });
}

TEST(Conformance, EveryRowIsExercised) {
    std::set<std::string> exercised;
    for (const Kernel& kernel : kernel_table())
        for (const LayerProblem& problem : all_problems())
            if (problem.op == kernel.op && kernel.supports(problem.problem())) exercised.insert(row_name(kernel));
    for (const Kernel& kernel : kernel_table())
        EXPECT_TRUE(exercised.count(row_name(kernel)))
            << row_name(kernel) << " is exercised by no problem; add a line to the problems.cfg of its folder";
}

TEST(Conformance, EveryProblemExpectsSomething) {
    for (const LayerProblem& problem : all_problems()) {
        ProblemData data = ProblemData(problem, DataKind::random, 1).in_double();
        run_kernel(reference(problem.op), data.args(), 2);
        for (int i = 0; i < data.args().n_out; ++i) {
            if (data.args().out[i].dtype == static_cast<int32_t>(DType::u8)) continue;   // positions in a window
            const std::string why = why_uninformative(data.args().out[i]);
            EXPECT_EQ(why, "") << problem.text() << " output " << i;
        }
    }
}

TEST(Conformance, NothingIsSkippedSilently) {
    std::set<std::string> missing;
    for (const Kernel& kernel : kernel_table())
        if (!runs_here(kernel)) missing.insert(name_of(kernel.isa));
    if (!missing.empty()) GTEST_SKIP() << "this processor has no " << *missing.begin() << "; its rows were not run";
}

}  // namespace
}  // namespace xbench
