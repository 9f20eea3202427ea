// Comparisons of repeated times: against tables, by simulation (false alarms, power), and with the figures of the
// literature.
#include "bench/base/compare.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "bench/base/distributions.h"
#include "bench/base/measure.h"
#include "core/rng.h"

namespace xbench {
namespace {

TEST(Distributions, AgreeWithTables) {
    EXPECT_NEAR(normal_cdf(1.959963985), 0.975, 1e-9);
    EXPECT_NEAR(t_quantile(0.975, 8), 2.306004135, 1e-7);
    EXPECT_NEAR(f_tail(4.256494729, 2, 9), 0.05, 1e-8);
    EXPECT_NEAR(f_tail(7.814727903 / 3, 3, 1e9), 0.05, 1e-5);  // chi-squared of 3
    EXPECT_NEAR(binomial_cdf(1, 9, 0.5), 10.0 / 512, 1e-12);
    EXPECT_NEAR(1 - binomial_cdf(11, 100, 0.05), 0.0043, 0.0001);  // more than 11 alarms of 100 at 5%
}

// k of n and the coverage of the k-th smallest to the k-th largest.
TEST(Measure, IntervalsSayWhatTheyAchieve) {
    struct Row {
        size_t n;
        double level;
    };
    for (const Row& row : {Row{6, 96.9}, {7, 98.4}, {8, 99.2}, {9, 96.1}, {10, 97.9}, {11, 98.8}, {12, 96.1}, {15, 96.5}}) {
        std::vector<double> values(row.n);
        for (size_t i = 0; i < row.n; ++i) values[i] = static_cast<double>(i);
        const Interval interval = interval_of(values);
        EXPECT_NEAR(100 * interval.level, row.level, 0.05) << row.n;
        EXPECT_EQ(interval_name(interval), fmt::format("{:.1f}% interval", row.level));
    }
    EXPECT_EQ(interval_of({1, 2, 3}).level, 0);
    EXPECT_EQ(interval_name(interval_of({1, 2, 3})), "min - max");
}

TEST(Compare, MannWhitneyAgreesWithTables) {
    EXPECT_NEAR(mann_whitney_cdf(0, 4, 4), 1.0 / 70, 1e-12);
    EXPECT_NEAR(mann_whitney_cdf(17, 9, 9), 0.0200, 0.0001);  // 17 is the tabulated critical value of 9 and 9 at 5%
    EXPECT_GT(mann_whitney_cdf(18, 9, 9), 0.025);
    EXPECT_NEAR(mann_whitney_cdf(800, 40, 40), 0.5, 0.01);
    EXPECT_NEAR(mann_whitney_p(std::vector<double>{1, 2, 3, 4}, std::vector<double>{5, 6, 7, 8}), 2.0 / 70, 1e-12);
    EXPECT_EQ(mann_whitney_p(std::vector<double>{1, 1, 1}, std::vector<double>{1, 1, 1}), 1);
}

TEST(Compare, HodgesLehmannOfKnownRatios) {
    std::vector<double> a, b;
    for (int i = 0; i < 9; ++i) a.push_back(100 + i), b.push_back(1.05 * (100 + i));
    const RatioInterval found = compare_times(a, b);
    EXPECT_NEAR(found.ratio, 1.05, 1e-12);
    EXPECT_LT(found.low, 1.05);
    EXPECT_GT(found.high, 1.05);
    EXPECT_NEAR(found.level, 0.96, 0.001);  // 1 - 2 x 0.0200
    const RatioInterval few = compare_times(std::vector<double>{1, 2, 3}, std::vector<double>{10, 20, 30});
    EXPECT_EQ(few.level, 0);
    EXPECT_FALSE(few.excludes_one());
}

TEST(Compare, ThousandsOfRepeatsAreNoHindrance) {
    std::vector<double> a, b;
    for (int i = 0; i < 2001; ++i) a.push_back(1 + 1e-4 * i), b.push_back(1.02 * (1 + 1e-4 * i));
    const RatioInterval found = compare_times(a, b);
    EXPECT_NEAR(found.ratio, 1.02, 1e-9);
    EXPECT_TRUE(found.excludes_one());
    EXPECT_NEAR(found.level, 0.95, 0.001);
}

TEST(Compare, HolmsStepDown) {
    const std::vector<double> adjusted = holm({0.01, 0.04, 0.03, 0.005});
    const std::vector<double> expected{0.03, 0.06, 0.06, 0.02};
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(adjusted[i], expected[i], 1e-12);
    EXPECT_EQ(holm({0.9, 0.8}), (std::vector<double>{1, 1}));
}

std::vector<double> runs(Random& random, int n, double noise, double factor) {
    std::vector<double> values(static_cast<size_t>(n));
    for (double& value : values) value = factor * std::exp(noise * static_cast<double>(random.normal()));
    return values;
}

// A comparison of equal runs is flagged in 5% at most: 11 of 100 is the bound that 99.6% of such hundreds keep.
TEST(Compare, EqualRunsRaiseFewAlarms) {
    for (const int n : {6, 9, 15, 21}) {
        Random random(20261130, RandomUse::test_data, static_cast<uint32_t>(n));
        int alarms = 0;
        for (int i = 0; i < 100; ++i) {
            const std::vector<double> a = runs(random, n, 0.03, 1), b = runs(random, n, 0.03, 1);
            alarms += compare_times(a, b).excludes_one() ? 1 : 0;
        }
        EXPECT_LE(alarms, 11) << n;
    }
}

TEST(Compare, TablesOfTwelveRowsKeepTheirLevelTogether) {
    Random random(20261130, RandomUse::test_data, 12);
    int tables = 0;
    for (int table = 0; table < 100; ++table) {
        const std::vector<double> base = runs(random, 9, 0.03, 1);
        std::vector<double> p;
        for (int row = 0; row < 12; ++row) p.push_back(mann_whitney_p(base, runs(random, 9, 0.03, 1)));
        const std::vector<double> together = holm(p);
        tables += *std::min_element(together.begin(), together.end()) < 0.05 ? 1 : 0;
    }
    EXPECT_LE(tables, 11);
}

TEST(Compare, SlowdownsAreFlagged) {
    struct Setting {
        double noise;
        int n;
    };
    for (const Setting& s : {Setting{0.02, 9}, {0.03, 21}}) {
        Random random(20261130, RandomUse::test_data, static_cast<uint32_t>(s.n));
        int flagged = 0;
        for (int i = 0; i < 100; ++i)
            flagged += compare_times(runs(random, s.n, s.noise, 1), runs(random, s.n, s.noise, 1.05)).low > 1 ? 1 : 0;
        EXPECT_GE(flagged, 95) << s.n;
    }
}

// Mann-Whitney's column of the simulated table: n, noise, flags of 100 at +5%.
TEST(Compare, PowerIsThatOfTheSimulations) {
    struct Row {
        int n;
        double noise, flags;
    };
    for (const Row& row : {Row{6, 0.03, 68}, {9, 0.03, 84}, {9, 0.02, 100}, {15, 0.03, 98}, {21, 0.03, 100}})
        EXPECT_NEAR(100 * power_of(row.n, row.noise, 0.05), row.flags, 5) << row.n << " " << row.noise;
    EXPECT_EQ(power_of(3, 0.01, 0.5), 0);
    EXPECT_NEAR(power_of(30, 0.06, 0.05), power_of(31, 0.06, 0.05),
                0.03);  // where trials give way to the normal distribution
    EXPECT_GT(power_of(1000, 0.06, 0.05), 0.99);
    EXPECT_EQ(power_of(9, 0, 0.05), 1);
    EXPECT_NE(power_statement(9, 0.03).find("with 9 repeats at 3.0% noise a 5% change is found 8"), std::string::npos)
        << power_statement(9, 0.03);
}

TEST(Compare, VarianceOfTheMedian) {
    for (const size_t n : {2u, 3u, 4u, 5u, 8u, 9u, 21u}) {
        Random random(1, RandomUse::test_data, static_cast<uint32_t>(n));
        double squares = 0;
        constexpr int trials = 20000;
        for (int i = 0; i < trials; ++i) {
            std::vector<double> values(n);
            for (double& value : values) value = static_cast<double>(random.normal());
            const double m = median(values);
            squares += m * m / trials;
        }
        EXPECT_NEAR(median_variance(n) / squares, 1, 0.05) << n;
    }
}

}  // namespace
}  // namespace xbench
