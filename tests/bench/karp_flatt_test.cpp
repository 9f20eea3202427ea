// The rules by which a table may be read, on published curves whose verdicts are known and on curves made for each rule.
#include "bench/laws/karp_flatt.h"

#include <gtest/gtest.h>
#include <cmath>
#include <random>

namespace xbench {
namespace {

std::vector<ScalingPoint> curve(const std::vector<std::pair<double, double>>& rates, double error = 0) {
    std::vector<ScalingPoint> points;
    for (const auto& [cores, rate] : rates)
        if (cores > rates[0].first) points.push_back({cores / rates[0].first, rate / rates[0].second, error});
    return curve_of(points);
}

struct Verdict {
    const char* name;
    std::vector<std::pair<double, double>> rates;
    Trend trend;
};

// Images/s of the TensorFlow benchmarks of 2017 (K80: EC2 and GCE; Daint: Piz Daint), RSNA by its seconds; the rest is made
// up.
TEST(ScalingRules, VerdictsOfPublishedCurves) {
    const std::vector<Verdict> verdicts{
        {"P100 AlexNet", {{1, 2987}, {2, 5658}, {4, 10509}, {8, 17822}}, Trend::constant},
        {"K80 ResNet-50", {{1, 52.4}, {8, 378}, {16, 751}, {32, 1388}, {64, 2744}}, Trend::falling},
        {"K80 InceptionV3", {{1, 30.5}, {2, 57.8}, {4, 116}, {8, 227}}, Trend::falling},
        {"Daint", {{1, 138.23}, {2, 264.57}, {4, 523.38}, {8, 1018.18}}, Trend::falling},
        {"RSNA", {{1, 1 / 5530.}, {2, 1 / 3273.}, {4, 1 / 3056.}}, Trend::rising},
        {"two values below zero", {{1, 1}, {2, 4.5}, {4, 9.3}}, Trend::none},
        {"one number of cores", {{1, 1}, {2, 1.8}}, Trend::none},
        {"one number of cores, twice", {{1, 1}, {2, 0.39}, {2, 0.05}}, Trend::none},
        {"up and down", {{1, 1}, {2, 1.9}, {4, 2.2}, {8, 6.5}}, Trend::none},
        {"perfect", {{1, 1}, {2, 2}, {4, 4}}, Trend::constant},
        {"a base of four cores", {{4, 1}, {8, 1.9}, {16, 3.2}, {32, 4.2}}, Trend::rising}};
    for (const Verdict& verdict : verdicts)
        EXPECT_STREQ(name_of(karp_flatt_trend(curve(verdict.rates))), name_of(verdict.trend)) << verdict.name;
}

TEST(ScalingRules, AmdahlWithNoiseIsConstant) {
    std::mt19937_64 random(20261130);
    std::normal_distribution<double> noise(1, 0.01);
    int constant = 0;
    for (int trial = 0; trial < 500; ++trial) {
        std::vector<ScalingPoint> points;
        for (const double n : {2, 4, 8, 16}) points.push_back({n, amdahl_speedup(0.06, n) * noise(random), 0.01});
        constant += karp_flatt_trend(points) == Trend::constant;
    }
    EXPECT_GT(constant, 450);
}

TEST(ScalingRules, OfAlternativesTheFastestCounts) {
    const auto points = curve_of({{4, 2.5}, {2, 1.2}, {4, 3.1}, {2, 1.9}});
    ASSERT_EQ(points.size(), 2u);
    EXPECT_EQ(points[0].speedup, 1.9);
    EXPECT_EQ(points[1].speedup, 3.1);
    EXPECT_EQ(relative_cores(6, 4), 1.5);
}

}  // namespace
}  // namespace xbench
