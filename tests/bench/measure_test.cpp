// Medians, order-statistic intervals, steadiness, the timing function and energy counters.
#include "bench/base/measure.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "bench/base/energy.h"
#include "core/rng.h"

namespace xbench {
namespace {

TEST(Measure, Median) {
    EXPECT_EQ(median({}), 0);
    EXPECT_EQ(median({3}), 3);
    EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
    EXPECT_EQ(median({9, 1, 5}), 5);
}

TEST(Measure, FewerThanSixRepeatsAreARange) {
    const Interval interval = interval_of({5, 1, 3, 2, 4});
    EXPECT_STREQ(interval.kind, "range");
    EXPECT_EQ(interval.low, 1);
    EXPECT_EQ(interval.high, 5);
    EXPECT_EQ(interval.median, 3);
}

// The ranks of the textbook table of confidence intervals of the median: n = 6: 1 and 6; 9: 2 and 8; 15: 4 and 12; 20: 6
// and 15.
TEST(Measure, OrderStatisticsOfTheMedian) {
    for (const auto& [count, rank] : {std::pair{6, 1}, {8, 1}, {9, 2}, {12, 3}, {15, 4}, {20, 6}, {50, 18}}) {
        std::vector<double> values(static_cast<size_t>(count));
        std::iota(values.begin(), values.end(), 1.0);
        const Interval interval = interval_of(values);
        EXPECT_STREQ(interval.kind, "95%");
        EXPECT_EQ(interval.low, rank) << count;
        EXPECT_EQ(interval.high, count + 1 - rank) << count;
    }
}

TEST(Measure, IntervalsCoverTheMedianAsOftenAsTheySay) {
    Random random(7, RandomUse::bootstrap);
    int covered = 0;
    const int trials = 4000;
    for (int trial = 0; trial < trials; ++trial) {
        std::vector<double> values(9);
        for (double& value : values) value = random.normal();
        const Interval interval = interval_of(values);
        covered += interval.low <= 0 && 0 <= interval.high ? 1 : 0;
    }
    EXPECT_GE(covered, trials * 95 / 100);
    EXPECT_LE(covered, trials * 98 / 100);  // exactly 96.1% for 9 values
}

TEST(Measure, LongSeriesUseTheNormalApproximation) {
    std::vector<double> values(5001);
    std::iota(values.begin(), values.end(), 0.0);
    const Interval interval = interval_of(values);
    EXPECT_EQ(interval.median, 2500);
    EXPECT_NEAR(interval.low, 2500 - 69, 3);
    EXPECT_NEAR(interval.high, 2500 + 69, 3);
}

TEST(Measure, Steadiness) {
    EXPECT_TRUE(is_steady(std::vector<int64_t>{1, 100}));
    EXPECT_TRUE(is_steady(std::vector<int64_t>{100, 101, 99, 100, 105, 98, 100, 104}));
    EXPECT_FALSE(is_steady(std::vector<int64_t>{100, 101, 99, 100, 105, 98, 120, 124}));
}

TEST(Measure, CallsWarmUpThenTimes) {
    int calls = 0;
    const auto samples =
        measure([&] { ++calls; }, {.warmup_seconds = 0, .warmup_calls = 3, .seconds = 0, .least_calls = 10});
    EXPECT_EQ(samples.size(), 10u);
    EXPECT_EQ(calls, 13);
    EXPECT_EQ(measure([] {}, {.warmup_seconds = 0, .seconds = 10, .most_calls = 50}).size(), 50u);
}

TEST(Energy, ReadsCountersAndTheirWrap) {
    const std::string root = testing::TempDir() + "/xb_rapl_" + std::to_string(getpid());
    std::filesystem::create_directories(root + "/intel-rapl:0");
    std::filesystem::create_directories(root + "/intel-rapl:1");
    const auto write = [&](const char* file, double value) { std::ofstream(root + file) << std::fixed << value; };
    write("/intel-rapl:0/energy_uj", 5e6);
    write("/intel-rapl:0/max_energy_range_uj", 1e9);
    write("/intel-rapl:1/energy_uj", 999e6);
    write("/intel-rapl:1/max_energy_range_uj", 1e9);
    const EnergyMeter meter(root);
    write("/intel-rapl:0/energy_uj", 8e6);
    write("/intel-rapl:1/energy_uj", 1e6);  // wrapped
    ASSERT_TRUE(meter.joules());
    EXPECT_NEAR(*meter.joules(), 3 + 2, 1e-9);
    const EnergyMeter none(root + "/nothing");
    EXPECT_FALSE(none.joules());
    EXPECT_EQ(none.why(), "this machine shows no RAPL counters");
    std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace xbench
