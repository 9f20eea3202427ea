// Fits of laws: published data whose answers are known, exact curves, and how often an interval and a test are right.
#include "bench/laws/fit.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "core/rng.h"

namespace xbench {
namespace {

std::vector<TimedPoint> of_throughput(const std::vector<std::pair<double, double>>& data) {
    std::vector<TimedPoint> points;
    for (const auto& [cores, rate] : data) points.push_back({cores, {1 / rate}, 0});
    return points;
}

// The data and answers of CRAN's package usl (its README and vignette): SPEC SDM91 on a SPARCcenter 2000, and a ray tracer.
TEST(Fit, UslOfSpecSdm91) {
    const auto fit = fit_law(
        Law::usl,
        of_throughput({{1, 64.9}, {18, 995.9}, {36, 1652.4}, {72, 1853.2}, {108, 1828.9}, {144, 1775.0}, {216, 1702.2}}),
        FitScale::rate);
    ASSERT_TRUE(fit);
    const double gamma = fit->parameters[0].value, alpha = fit->parameters[1].value, beta = fit->parameters[2].value;
    EXPECT_NEAR(gamma, 89.9952, 0.0001);
    EXPECT_NEAR(alpha, 0.0277285, 0.0000001);
    EXPECT_NEAR(beta, 0.0001044, 0.00000005);
    EXPECT_NEAR(fit->parameters[0].standard_error, 14.21, 0.01);
    EXPECT_NEAR(fit->parameters[1].standard_error, 0.0091217, 0.00001);
    EXPECT_NEAR(fit->parameters[2].standard_error, 0.0000199, 0.0000001);
    EXPECT_NEAR(gamma / alpha, 3246, 1);
    const double peak = std::sqrt((1 - alpha) / beta);
    EXPECT_NEAR(peak, 96.52, 0.01);
    EXPECT_NEAR(1 / fit->seconds(peak), 1884, 1);
    EXPECT_NEAR(1 / alpha, 36.06, 0.01);
    EXPECT_NEAR(1 / fit->seconds(1 / alpha), 1542, 1);
}

TEST(Fit, UslOfTheRayTracerHasNoCoherency) {
    const auto fit = fit_law(Law::usl,
                             of_throughput({{1, 20},
                                            {4, 78},
                                            {8, 130},
                                            {12, 170},
                                            {16, 190},
                                            {20, 200},
                                            {24, 210},
                                            {28, 230},
                                            {32, 260},
                                            {48, 280},
                                            {64, 310}}),
                             FitScale::rate);
    ASSERT_TRUE(fit);
    EXPECT_NEAR(fit->parameters[0].value, 21.8488, 0.0001);
    EXPECT_NEAR(fit->parameters[1].value, 0.0577707, 0.0000001);
    EXPECT_EQ(fit->parameters[2].value, 0);  // at the edge: an invented peak otherwise
}

std::vector<TimedPoint> curve(const std::vector<double>& cores, const std::function<double(double)>& seconds,
                              double noise = 0, int repeats = 1, uint32_t index = 0) {
    Random random(20261130, RandomUse::test_data, index);
    std::vector<TimedPoint> points;
    for (const double p : cores) {
        TimedPoint point{p, {}, 0};
        for (int i = 0; i < repeats; ++i)
            point.seconds.push_back(seconds(p) * std::exp(noise * static_cast<double>(random.normal())));
        points.push_back(point);
    }
    return points;
}

double amdahl(double p) { return 100 * (0.05 + 0.95 / p); }
double communicating(double p) { return 100 * (0.02 + 0.98 / p) + 1.5 * std::log2(p); }
double usl(double p) { return 100 * (1 + 0.03 * (p - 1) + 0.002 * p * (p - 1)) / p; }
double weak(double p) { return 100 * p / (p - 0.12 * (p - 1)); }

TEST(Fit, FindsTheParametersOfExactCurves) {
    const std::vector<double> cores{1, 2, 4, 8, 16};
    const auto a = fit_law(Law::amdahl, curve(cores, amdahl));
    EXPECT_NEAR(a->parameters[0].value, 100, 1e-6);
    EXPECT_NEAR(a->parameters[1].value, 0.05, 1e-9);
    const auto c = fit_law(Law::amdahl_communication, curve(cores, communicating));
    EXPECT_NEAR(c->parameters[1].value, 0.02, 1e-7);
    EXPECT_NEAR(c->parameters[2].value, 1.5, 1e-6);
    const auto u = fit_law(Law::usl, curve(cores, usl));
    EXPECT_NEAR(u->parameters[1].value, 0.03, 1e-7);
    EXPECT_NEAR(u->parameters[2].value, 0.002, 1e-8);
    const auto g = fit_law(Law::gustafson, curve(cores, weak));
    EXPECT_NEAR(g->parameters[0].value, 0.01, 1e-9);
    EXPECT_NEAR(g->parameters[1].value, 0.12, 1e-9);
    EXPECT_NEAR(furthest_cores(curve(cores, amdahl)), 32, 0);
}

TEST(Fit, StepLawFindsLatencyAndTransfer) {
    std::vector<TimedPoint> points =
        curve({1, 2, 4, 8, 16}, [](double p) { return 64 / p + 0.5 + 2 * (p - 1) * 0.04 + 2 * (p - 1) / p * 3; });
    for (TimedPoint& point : points) point.compute_seconds = 64 / point.cores + 0.5;
    const auto fit = fit_law(Law::step, points);
    EXPECT_NEAR(fit->parameters[0].value, 0.04, 1e-8);
    EXPECT_NEAR(fit->parameters[1].value, 3, 1e-7);
    const auto all = fit_laws(points, false, 0);
    EXPECT_EQ(all.back().law, Law::step);
}

TEST(Fit, NothingUnderFourCoreCounts) {
    EXPECT_FALSE(fit_law(Law::amdahl, curve({1, 2, 4}, amdahl)));
    EXPECT_TRUE(fit_laws(curve({1, 2}, amdahl), false).empty());
    EXPECT_TRUE(fit_laws(curve({1, 2, 4, 8}, amdahl), true, 0).size() == 1);  // weak: Gustafson alone
    EXPECT_EQ(fit_laws(curve({1, 2, 4, 8}, weak), true, 0)[0].law, Law::gustafson);
}

TEST(Fit, CurvesThatBendDownRejectAmdahl) {
    const auto fit = fit_law(Law::amdahl, curve({1, 2, 4, 8, 16, 32}, usl, 0.01, 9));
    EXPECT_TRUE(fit->rejected);
    const auto right = fit_law(Law::usl, curve({1, 2, 4, 8, 16, 32}, usl, 0.01, 9));
    EXPECT_FALSE(right->rejected);
    EXPECT_TRUE(right->tested);
    EXPECT_FALSE(fit_law(Law::amdahl, curve({1, 2, 4, 8}, usl))->tested);  // no repeats: nothing to test by
}

struct Tally {
    double covered = 0, accepted = 0, half_width = 0;
};

Tally tally(int sweeps, int bootstrap) {
    Tally all;
    for (int i = 0; i < sweeps; ++i) {
        const auto fit = fit_law(Law::amdahl, curve({1, 2, 4, 8, 16}, amdahl, 0.03, 9, static_cast<uint32_t>(i)),
                                 FitScale::log_time, bootstrap);
        const Parameter& s = fit->parameters[1];
        all.covered += s.low <= 0.05 && 0.05 <= s.high ? 1 : 0;
        all.accepted += fit->rejected ? 0 : 1;
        all.half_width += (s.high - s.low) / 2 / sweeps;
    }
    fmt::print("{} sweeps: {} cover s, {} accept Amdahl, half width {:.4f}\n", sweeps, all.covered, all.accepted,
               all.half_width);
    return all;
}

// Of 200 at 95%, 181 to 198 are within 3 standard errors.
TEST(Fit, IntervalsCoverTheSerialFraction) {
    const Tally found = tally(200, 200);
    EXPECT_GE(found.covered, 181);
    EXPECT_LE(found.covered, 198);
    EXPECT_GE(found.accepted, 181);
    EXPECT_NEAR(found.half_width, 0.0035, 0.0012);
}

TEST(FitSlow, IntervalsCoverTheSerialFractionOfAThousandSweeps) {
    const Tally found = tally(1000, 400);
    EXPECT_GE(found.covered, 930);
    EXPECT_LE(found.covered, 970);
    EXPECT_GE(found.accepted, 930);
}

// Which laws are left of which truth: the true one almost always is, and a law that cannot bend is rejected where it
// matters.
TEST(Fit, ConfusionOfLaws) {
    struct Truth {
        Law law;
        double (*seconds)(double);
    };
    const std::vector<double> cores{1, 2, 4, 8, 16, 32};
    for (const Truth& truth : {Truth{Law::amdahl, amdahl}, {Law::amdahl_communication, communicating}, {Law::usl, usl}}) {
        std::vector<int> kept(5);
        constexpr int sweeps = 100;
        for (int i = 0; i < sweeps; ++i)
            for (const LawFit& fit : fit_laws(curve(cores, truth.seconds, 0.02, 9, static_cast<uint32_t>(i)), false, 0))
                kept[static_cast<size_t>(fit.law)] += fit.rejected ? 0 : 1;
        fmt::print("truth {}: not rejected of {}: Amdahl {}, Amdahl + communication {}, USL {}\n", name_of(truth.law),
                   sweeps, kept[0], kept[3], kept[2]);
        EXPECT_GE(kept[static_cast<size_t>(truth.law)], 88);
        if (truth.law != Law::amdahl) {
            EXPECT_LE(kept[0], 20) << name_of(truth.law);
        }
    }
}

}  // namespace
}  // namespace xbench
