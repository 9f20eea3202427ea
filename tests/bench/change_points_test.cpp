// PELT against a search over all segmentations, its false alarms on series without a change, and the classes of warm-up. The
// same series through ruptures: scripts/oracles.sh and tests/bench/oracles.
#include "bench/base/change_points.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/rng.h"

namespace xbench {
namespace {

double cost(const std::vector<double>& values, size_t begin, size_t end) {
    double mean = 0, sum = 0;
    for (size_t i = begin; i < end; ++i) mean += values[i] / static_cast<double>(end - begin);
    for (size_t i = begin; i < end; ++i) sum += (values[i] - mean) * (values[i] - mean);
    return sum;
}

// Optimal partitioning without pruning.
std::vector<size_t> all_segmentations(const std::vector<double>& values, double penalty, size_t least) {
    const size_t n = values.size();
    std::vector<double> best(n + 1, INFINITY);
    std::vector<size_t> previous(n + 1, 0);
    best[0] = -penalty;
    for (size_t end = least; end <= n; ++end)
        for (size_t begin = 0; begin + least <= end; ++begin)
            if (const double total = best[begin] + cost(values, begin, end) + penalty; total < best[end] - 1e-12)
                best[end] = total, previous[end] = begin;
    std::vector<size_t> changes;
    for (size_t at = previous[n]; at > 0; at = previous[at]) changes.insert(changes.begin(), at);
    return changes;
}

TEST(ChangePoints, PeltIsTheOptimum) {
    for (uint32_t trial = 0; trial < 60; ++trial) {
        Random random(7, RandomUse::test_data, trial);
        std::vector<double> values(120);
        double level = 0;
        for (double& value : values) {
            if (random.below(25) == 0) level = 4 * static_cast<double>(random.uniform());
            value = level + static_cast<double>(random.normal());
        }
        const size_t least = 1 + random.below(12);
        const double penalty = 1 + 20 * static_cast<double>(random.uniform());
        EXPECT_EQ(pelt(values, penalty, least), all_segmentations(values, penalty, least)) << trial;
    }
    EXPECT_TRUE(pelt(std::vector<double>{1, 2, 3}, 1, 2).empty());
    EXPECT_EQ(pelt(std::vector<double>{0, 0, 0, 9, 9, 9}, 1, 2), (std::vector<size_t>{3}));
}

struct Shape {
    size_t steps = 400;
    double autocorrelation = 0, noise = 0.03, spikes = 0;
};

template <class Level>
std::vector<int64_t> series(uint32_t index, const Shape& shape, Level level) {
    Random random(11, RandomUse::test_data, index);
    std::vector<int64_t> samples;
    double noise = 0;
    const double fresh = std::sqrt(1 - shape.autocorrelation * shape.autocorrelation);
    for (size_t i = 0; i < shape.steps; ++i) {
        noise = shape.autocorrelation * noise + fresh * shape.noise * static_cast<double>(random.normal());
        const double spike = static_cast<double>(random.uniform()) < shape.spikes ? 2.0 : 1.0;
        samples.push_back(static_cast<int64_t>(1e6 * level(i) * std::exp(noise) * spike));
    }
    return samples;
}

// The calibration of the penalty: nothing changes, so nothing may be found in 95 of 100, white or autocorrelated or with
// spikes.
TEST(ChangePoints, SeriesWithoutAChangeAreFlat) {
    for (const Shape& shape : {Shape{}, Shape{.autocorrelation = 0.5}, Shape{.spikes = 0.05}, Shape{.steps = 60},
                               Shape{.steps = 2000, .autocorrelation = 0.3}}) {
        int flat = 0;
        for (uint32_t i = 0; i < 100; ++i)
            flat += classify_warmup(series(i, shape, [](size_t) { return 1.0; })).warmup == Warmup::flat ? 1 : 0;
        EXPECT_GE(flat, 95) << shape.steps << " " << shape.autocorrelation << " " << shape.spikes;
    }
}

TEST(ChangePoints, ClassesOfWarmUp) {
    struct Case {
        const char* what;
        double (*level)(size_t);
        Warmup warmup;
    };
    for (const Case& c :
         {Case{"warm-up", [](size_t i) { return i < 60 ? 1.3 : 1.0; }, Warmup::warm_up},
          Case{"two steps down", [](size_t i) { return i < 50    ? 1.5
                                                       : i < 120 ? 1.2
                                                                 : 1.0; }, Warmup::warm_up},
          Case{"slowdown", [](size_t i) { return i < 200 ? 1.0 : 1.2; }, Warmup::slowdown},
          Case{"faster for a while", [](size_t i) { return i < 100   ? 1.2
                                                           : i < 200 ? 1.0
                                                                     : 1.2; }, Warmup::slowdown},
          Case{"changes to the end", [](size_t i) { return i < 365 ? 1.0 : 1.3; }, Warmup::no_steady_state}})
        for (uint32_t i = 0; i < 20; ++i) {
            const WarmupReport report = classify_warmup(series(i, {}, c.level));
            EXPECT_EQ(report.warmup, c.warmup) << c.what << " " << i << ": " << name_of(report.warmup);
        }
    const WarmupReport report = classify_warmup(series(1, {}, [](size_t i) { return i < 60 ? 1.3 : 1.0; }));
    EXPECT_NEAR(static_cast<double>(report.steady_from), 60, 3);
    // A long run is taken in blocks: its change is found to a block.
    const WarmupReport blocks = classify_warmup(series(2, {.steps = 30000}, [](size_t i) { return i < 6000 ? 1.3 : 1.0; }));
    EXPECT_EQ(blocks.warmup, Warmup::warm_up);
    EXPECT_NEAR(static_cast<double>(blocks.steady_from), 6000, 30);
    EXPECT_EQ(classify_warmup({}).warmup, Warmup::flat);
    EXPECT_EQ(classify_warmup(std::vector<int64_t>{5, 5, 5}).warmup, Warmup::flat);
}

TEST(ChangePoints, ProcessesMustAgree) {
    EXPECT_EQ(warmup_of_all({}), Warmup::flat);
    EXPECT_EQ(warmup_of_all({Warmup::warm_up, Warmup::warm_up}), Warmup::warm_up);
    EXPECT_EQ(warmup_of_all({Warmup::warm_up, Warmup::flat}), Warmup::inconsistent);
}

}  // namespace
}  // namespace xbench
