// The kernel suite: what it selects and how it names it, the roofs, the tables, and a short run of two tiny problems whose
// JSON is Google Benchmark's. No time is judged.
#include "bench/kernels/kernel_suite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "bench/base/environment.h"
#include "bench/kernels/kernel_case.h"
#include "bench/kernels/kernel_problems.h"
#include "bench/kernels/kernel_table.h"
#include "core/error.h"
#include "tests/parallel/guarded_device.h"

namespace xbench {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

const std::vector<LayerProblem>& problems() {
    static const std::vector<LayerProblem> all = bundled_problems();
    return all;
}

Target here() { return Target{usable_isa()}; }

std::vector<std::string> names_of(const KernelSelection& selection) {
    std::vector<std::string> names;
    for (const KernelSuiteEntry& entry : selection.entries) names.push_back(entry.name);
    return names;
}

std::string message_of(const std::string& op, const std::string& filter, const std::vector<Choice>& forced) {
    KernelSuiteOptions options;
    options.op = op, options.filter = filter, options.forced = forced;
    try {
        select_entries(problems(), options, here());
    } catch (const UsageError& error) {
        return error.what();
    }
    return "no error";
}

TEST(KernelSuite, TheListsInTheProgramAreThoseOfTheSource) {
    const auto from_files = load_all_problems(std::string(XB_SOURCE_DIR) + "/kernels");
    ASSERT_EQ(problems().size(), from_files.size());
    for (size_t i = 0; i < from_files.size(); ++i) EXPECT_EQ(problems()[i].text(), from_files[i].text());
}

TEST(KernelSuite, EveryOperatorOfTheRegistryHasAProblemAndIsTimed) {
    std::set<OpKind> timed;
    for (const KernelSuiteEntry& entry : select_entries(problems(), {}, here()).entries) timed.insert(entry.problem.op);
    for (const Kernel& row : kernel_table()) EXPECT_TRUE(timed.count(row.op)) << name_of(row.op);
}

TEST(KernelSuite, WithoutOptionsItTimesTheRowThatAPlanTakesUnderNamesOfItsOwn) {
    const KernelSelection selection = select_entries(problems(), {}, here());
    std::set<std::string> names;
    for (const KernelSuiteEntry& entry : selection.entries) {
        EXPECT_EQ(entry.kernel, &select(entry.problem.problem(), here())) << entry.name;
        EXPECT_TRUE(names.insert(entry.name).second) << entry.name << " twice";
    }
}

TEST(KernelSuite, OneOperatorWithItsGradientsOrOneGradientAlone) {
    KernelSuiteOptions options;
    options.op = "conv2d";
    std::set<OpKind> kinds;
    for (const auto& entry : select_entries(problems(), options, here()).entries) kinds.insert(entry.problem.op);
    EXPECT_EQ(kinds, (std::set<OpKind>{OpKind::conv2d, OpKind::conv2d_dgrad, OpKind::conv2d_wgrad}));
    options.op = "conv2d_wgrad";
    for (const auto& entry : select_entries(problems(), options, here()).entries)
        EXPECT_EQ(entry.problem.op, OpKind::conv2d_wgrad);
}

TEST(KernelSuite, FilterIsARegularExpressionOverNames) {
    KernelSuiteOptions options;
    options.filter = "^conv2d/resnet50\\.conv1/plain-nchw16c$";
    EXPECT_THAT(names_of(select_entries(problems(), options, here())),
                testing::ElementsAre("conv2d/resnet50.conv1/plain-nchw16c"));
}

TEST(KernelSuite, Resnet50HasTwentyThreeConvolutionsInEachPass) {
    KernelSuiteOptions options;
    options.op = "conv2d_wgrad";
    options.filter = "/resnet50\\.(conv1/plain-nchw16c|layer)";
    EXPECT_EQ(select_entries(problems(), options, here()).entries.size(), 23u);
}

TEST(KernelSuite, AForcedImplementationLeavesTheOthersOut) {
    KernelSuiteOptions options;
    options.op = "conv2d";
    options.forced = {{"conv2d", "reference"}};
    int forced = 0;
    for (const auto& entry : select_entries(problems(), options, here()).entries)
        if (entry.problem.op == OpKind::conv2d) {
            EXPECT_STREQ(entry.kernel->name, "reference");
            ++forced;
        }
    EXPECT_GT(forced, 20);
}

TEST(KernelSuite, AllImplementationsIncludeEveryRowThatRunsHereAndSayWhich) {
    KernelSuiteOptions options;
    options.all_impls = true;
    const KernelSelection selection = select_entries(problems(), options, here());
    std::set<const Kernel*> rows;
    for (const auto& entry : selection.entries) rows.insert(entry.kernel);
    for (const Kernel& row : kernel_table()) {
        EXPECT_EQ(rows.count(&row), runs_on(row, here()) ? 1u : 0u) << name_of(row.op) << " " << row.name;
    }
    EXPECT_THAT(names_of(selection), Contains("relu/19_features/reference.portable"));
    EXPECT_EQ(selection.left_out, 0);
}

TEST(KernelSuite, MistakesAreNamedWithARemedy) {
    EXPECT_THAT(message_of("conv2", "", {}), HasSubstr("did you mean conv2d?"));
    EXPECT_THAT(message_of("", "(", {}), AllOf(HasSubstr("--filter"), HasSubstr("'('")));
    EXPECT_THAT(message_of("", "no such layer", {}), HasSubstr("no problem is left"));
    EXPECT_THAT(message_of("", "", {{"conv2d", "directt"}}), AllOf(HasSubstr("--impl"), HasSubstr("reference")));
    EXPECT_THAT(message_of("", "", {{"conv3d", "direct"}}), HasSubstr("no such operator"));
}

TEST(KernelSuite, RoofsBoundWorkByWhatTakesLonger) {
    Cpu cpu;
    Roofline roofline(cpu, {{1, 32 << 10, 1}, {2, 1 << 20, 1}});
    ASSERT_GT(roofline.peak_gflops(), 0);
    const CopyBandwidth& cached = roofline.copy_for(300 << 10);
    EXPECT_EQ(cached.bytes, 512 << 10);
    EXPECT_EQ(cached.level, "L2");
    const CopyBandwidth copy{10, 1 << 20, "L2"};  // 10 GB/s
    const RooflineBound traffic = roofline.bound({0, 5e9}, copy);
    EXPECT_FALSE(traffic.by_arithmetic);
    EXPECT_DOUBLE_EQ(traffic.seconds, 0.5);
    const RooflineBound arithmetic = roofline.bound({roofline.peak_gflops() * 1e9 * 3, 5e9}, copy);
    EXPECT_TRUE(arithmetic.by_arithmetic);
    EXPECT_DOUBLE_EQ(arithmetic.seconds, 3);
}

TEST(KernelSuite, ACaseComputesWhatTheTestsCompare) {
    for (const char* line : {"conv2d n2 c5 h6 w9 k19 r3 pad1 leaves2", "batchnorm n2 c3 h4", "adam n19 update=2"})
        for (const LayerProblem& problem : parse_problem(line, "test")) {
            const Kernel& row = select(problem.problem(), here());
            Cpu cpu;
            KernelCase timed(problem, row, cpu);
            ProblemData expected(problem, DataKind::random, 1);
            expected.args().workspace = timed.args().workspace;
            timed.run();
            row.run(expected.args(), Team{0, 1, nullptr});
            for (int i = 0; i < expected.args().n_out; ++i)
                for (int64_t e = 0; e < elements_of(expected.args().out[i]); ++e)
                    ASSERT_EQ(element(timed.args().out[i], e), element(expected.args().out[i], e)) << problem.text();
        }
}

TEST(KernelSuite, LargeConvolutionsAreComparedOnOneImageAndAllImagesOtherwise) {
    const auto large = parse_problem("conv2d n4 c64 h56 k64 r3 pad1 leaves4 bench", "test");
    Cpu cpu;
    EXPECT_EQ(measure_error(large.at(0), select(large.at(0).problem(), here()), cpu).images, 1);
    const auto small = parse_problem("conv2d n4 c8 h6 k8 r3 pad1 leaves4", "test");
    const KernelError error = measure_error(small.at(0), select(small.at(0).problem(), here()), cpu);
    EXPECT_EQ(error.images, 4);
    EXPECT_EQ(error.message, "");
    EXPECT_GE(error.eps, 0);
}

TEST(KernelSuite, ARunOfTwoTinyProblemsIsGoogleBenchmarksJsonAndATable) {
    KernelSuiteOptions options;
    options.filter = "^(relu/19_features|linear/one-image)$";
    options.repetitions = 3;
    options.min_time = 0.001;
    int seen = 0;
    Cpu cpu;
    const KernelReport report = run_kernel_suite(options, problems(), cpu, [&](const KernelMeasurement&) { ++seen; });
    ASSERT_EQ(report.rows.size(), 2u);
    EXPECT_EQ(seen, 2);
    for (const KernelMeasurement& row : report.rows) {
        EXPECT_EQ(row.failure, "");
        EXPECT_GT(row.microseconds.median, 0);
        EXPECT_LE(row.microseconds.low, row.microseconds.median);
        EXPECT_NEAR(row.gflops * row.microseconds.median * 1e3, row.work.flops, 1e-6 * row.work.flops) << row.name;
        EXPECT_GE(row.error_eps, 0);
    }
    // Three repetitions of each, their mean, median, standard deviation and its ratio to the mean.
    const Json& json = report.google_benchmark;
    ASSERT_EQ(json["benchmarks"].size(), 2u * (3 + 4));
    EXPECT_EQ(json["benchmarks"][0]["run_type"], "iteration");
    EXPECT_EQ(json["benchmarks"][0]["time_unit"], "us");
    for (const char* key : {"real_time", "cpu_time", "share_of_peak", "share_of_bound", "flops_per_second", "error_eps"})
        EXPECT_TRUE(json["benchmarks"][0].contains(key)) << key;
    EXPECT_EQ(json["context"]["xbench"]["threads"], 1);
    const std::string table = kernel_table_text(report);
    EXPECT_THAT(table, AllOf(HasSubstr("relu/19_features"), HasSubstr("linear/one-image"), HasSubstr("of bound")));
}

TEST(KernelSuite, WhatCannotBePreparedIsARemarkAndTheRestGoesOn) {
    std::vector<LayerProblem> list = parse_problem("conv2d n4 c64 h56 k64 r3 pad1 leaves4 bench name=broken", "test");
    list.resize(1);
    list[0].in[0].layout = list[0].out[0].layout = Layout::nchw16c;
    list[0].line = "relu n1";  // does not give this call: it cannot be compared on one image
    const auto relu = parse_problem("relu n1 f19 name=good", "test");
    list.insert(list.end(), relu.begin(), relu.end());
    KernelSuiteOptions options;
    options.filter = "broken|^relu/good";
    options.repetitions = 2;
    options.min_time = 0.001;
    Cpu cpu;
    const KernelReport report = run_kernel_suite(options, list, cpu);
    ASSERT_EQ(report.rows.size(), 2u);
    EXPECT_THAT(report.rows[0].failure, HasSubstr("does not give this call"));
    EXPECT_EQ(report.rows[1].failure, "");
    EXPECT_GT(report.rows[1].microseconds.median, 0);
}

// The suite on a device whose memory the host may not touch and whose clock counts calls.
TEST(KernelSuite, AnotherDeviceIsTimedByItsOwnClockAndHasTheErrorsOfTheCpu) {
    KernelSuiteOptions options;
    options.filter = "^(relu/19_features|adam/five_elements)$";
    options.repetitions = 2;
    options.min_time = 1e-6;
    test::GuardedDevice guarded;
    Cpu cpu;
    const KernelReport theirs = run_kernel_suite(options, problems(), guarded),
                       ours = run_kernel_suite(options, problems(), cpu);
    ASSERT_EQ(theirs.rows.size(), ours.rows.size());
    EXPECT_EQ(theirs.peak_gflops, 0) << "it has no such yardstick";
    for (size_t i = 0; i < ours.rows.size(); ++i) {
        EXPECT_EQ(theirs.rows[i].failure, "");
        EXPECT_EQ(theirs.rows[i].error_eps, ours.rows[i].error_eps) << ours.rows[i].name;
        EXPECT_NEAR(theirs.rows[i].microseconds.median, 1e-3 * 65 / 64, 1e-9) << "64 launches and an event";
        EXPECT_EQ(theirs.rows[i].share_of_peak, 0);
    }
    EXPECT_GT(guarded.launches(), 0);
}

KernelReport example_report() {
    KernelMeasurement conv;
    conv.name = "conv2d/resnet50.conv1/plain-nchw16c", conv.op = "conv2d", conv.kernel = "direct", conv.isa = "avx512";
    conv.microseconds = {1000, 990, 1030, "95%"};
    conv.work = {1e8, 1e6};
    conv.gflops = 100, conv.gbytes_per_second = 1, conv.share_of_peak = 0.5, conv.share_of_copy = 0.01;
    conv.share_of_bound = 0.5, conv.bound_by_arithmetic = true, conv.error_eps = 1.25;
    conv.copy = {100, 2 << 20, "L3"};
    KernelMeasurement other = conv;
    other.name = "conv2d/other", other.share_of_peak = 0.125, other.share_of_bound = 0.125;
    other.error_growth = 6;
    KernelMeasurement broken;
    broken.name = "relu/broken", broken.op = "relu", broken.kernel = "fast", broken.isa = "avx2";
    broken.failure = "output 0 at [n 0]: 1, expected 2";
    KernelReport report;
    report.rows = {conv, other, broken};
    report.isa = "avx512", report.time_utc = "2030-01-02T03:04:05Z";
    report.peak_gflops = 200, report.memory = {50, 256 << 20, "memory"}, report.left_out = 7;
    return report;
}

TEST(KernelSuite, TheTableHasOneRowEachAndTheSummaryGeometricMeans) {
    const std::string table = kernel_table_text(example_report());
    EXPECT_THAT(table, HasSubstr("| conv2d/resnet50.conv1/plain-nchw16c | direct (avx512) |"));
    EXPECT_THAT(table, HasSubstr(" 2.0% |"));  // half of 990 to 1030
    EXPECT_THAT(table, HasSubstr("| L3 2 MiB | FMA   |"));
    EXPECT_THAT(table, HasSubstr("| 1.25 (growth 6) |"));
    EXPECT_THAT(table, HasSubstr("output 0 at [n 0]"));
    EXPECT_THAT(table, Not(HasSubstr("peer")));
    EXPECT_THAT(kernel_summary_text(example_report()), HasSubstr("25% |"));  // sqrt(1/2 * 1/8)
    EXPECT_THAT(kernel_summary_text(example_report()),
                HasSubstr("| relu     |    1 |      1 |       - |        - |                - |"));
}

TEST(KernelSuite, ThePeersColumnsAppearWithAPeer) {
    KernelReport report = example_report();
    report.peer = "oneDNN 2.6.3";
    report.rows[0].peer_microseconds = 1500, report.rows[0].peer_ratio = 1.5, report.rows[0].peer_step_ratio = 1.75;
    report.rows[0].peer_implementation = "jit:avx512_core";
    EXPECT_THAT(kernel_table_text(report),
                AllOf(HasSubstr("peer / ours"), HasSubstr("1.50"), HasSubstr("1.75"), HasSubstr("jit:avx512_core")));
    EXPECT_THAT(kernel_summary_text(report), HasSubstr("1.50 |"));
}

TEST(KernelSuite, ThePassportSaysMachineBuildAndWhatWasLeftOut) {
    const std::string text = kernel_passport(example_report(), query_hardware(), build_info(), "xbench kernels --op conv2d");
    EXPECT_THAT(text, AllOf(HasSubstr("# Kernel passport"), HasSubstr("`xbench kernels --op conv2d`"),
                            HasSubstr("2030-01-02T03:04:05Z"), HasSubstr("avx512"), HasSubstr("7 calls are left out"),
                            HasSubstr("200.0 GFLOP/s before"), HasSubstr("none in this build")));
}

}  // namespace
}  // namespace xbench
