// The order of a sweep's runs, and its price.
#include "bench/sweep/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "bench/sweep/dry_run.h"
#include "bench/sweep/expected.h"
#include "bench/sweep/price.h"
#include "data/synthetic/synthetic.h"

namespace xbench {
namespace {

std::vector<Point> points_of(int count) {
    std::vector<Point> points;
    for (int i = 1; i <= count; ++i) {
        Point point;
        point.trainer = "cpu_ddp";
        point.ranks = i;
        points.push_back(point);
    }
    return points;
}

std::vector<std::string> names(const std::vector<ScheduledRun>& runs, const std::vector<Point>& points) {
    std::vector<std::string> names;
    for (const ScheduledRun& run : runs) names.push_back(run.probe.empty() ? points[run.point].id() : "probe " + run.probe);
    return names;
}

TEST(Schedule, EachBlockHoldsEveryRunOnce) {
    const auto points = points_of(4);
    const std::vector<Probe> probes{{"p", "cpu_ddp-r2-t1", {}, 1, {}}, {"q", "", {}, 2, {}}};
    const auto runs = schedule_runs(points, 5, 1, probes);
    ASSERT_EQ(runs.size(), 30u);
    for (size_t block = 0; block < 5; ++block) {
        std::vector<ScheduledRun> part(runs.begin() + static_cast<long>(6 * block),
                                       runs.begin() + static_cast<long>(6 * block) + 6);
        EXPECT_EQ(part, schedule_block(points, static_cast<int64_t>(block) + 1, 1, probes));
        std::set<std::string> once;
        for (const std::string& name : names(part, points)) once.insert(name);
        EXPECT_EQ(once.size(), 6u);
        for (const ScheduledRun& run : part) {
            EXPECT_EQ(run.repeat, static_cast<int64_t>(block) + 1);
            if (run.probe.empty()) continue;
            EXPECT_EQ(run.point, run.probe == "p" ? 1u : ScheduledRun::no_point) << run.probe;
        }
    }
}

TEST(Schedule, BySeedAlone) {
    const auto points = points_of(6);
    EXPECT_EQ(schedule_runs(points, 4, 7), schedule_runs(points, 4, 7));
    EXPECT_NE(schedule_runs(points, 4, 7), schedule_runs(points, 4, 8));
    EXPECT_NE(names(schedule_block(points, 1, 7), points), names(schedule_block(points, 2, 7), points));
}

// Whoever adds a row or a probe to a sweep finds the old runs in their old order.
TEST(Schedule, MoreRunsLeaveTheOrderOfTheOthers) {
    const auto few = points_of(4), more = points_of(9);
    for (int64_t repeat = 1; repeat <= 20; ++repeat) {
        auto kept = names(schedule_block(more, repeat, 3, std::vector<Probe>{{"p", "", {}, 1, {}}}), more);
        const auto before = names(schedule_block(few, repeat, 3), few);
        std::erase_if(
            kept, [&](const std::string& name) { return std::find(before.begin(), before.end(), name) == before.end(); });
        EXPECT_EQ(kept, before) << repeat;
    }
}

// Of 3 runs each of the 6 orders comes about 200 times in 1,200 blocks; 5 standard deviations are 65.
TEST(Schedule, AllOrdersAreEquallyLikely) {
    const auto points = points_of(3);
    std::map<std::vector<std::string>, int> seen;
    for (int64_t repeat = 1; repeat <= 1200; ++repeat) ++seen[names(schedule_block(points, repeat, 1), points)];
    ASSERT_EQ(seen.size(), 6u);
    for (const auto& [order, count] : seen) EXPECT_NEAR(count, 200, 65);
}

TEST(Price, OfARunIsWhatItTookElseWhatWasExpectedElseTheMean) {
    RunTimes times;
    EXPECT_FALSE(times.of("a"));
    EXPECT_FALSE(times.of_all({"a"}));
    EXPECT_EQ(times.of_all({}), 0);
    times.expect("a", 5);
    EXPECT_EQ(times.of("a"), 5);
    times.add("b", 2);
    times.add("b", 4);
    EXPECT_EQ(times.of("a"), 5);
    EXPECT_EQ(times.of("b"), 3);
    EXPECT_EQ(times.of("c"), 3);
    times.add("a", 12);
    EXPECT_EQ(times.of("a"), 12);
    EXPECT_EQ(times.of("c"), 6);
    EXPECT_EQ(times.spent(), 18);
    EXPECT_EQ(times.of_all({"a", "a", "b"}), 27);
}

TEST(Price, BudgetsHoldWholeBlocks) {
    EXPECT_EQ(blocks_in_budget(600, 0, 0, 100), 6);
    EXPECT_EQ(blocks_in_budget(600, 0, 0, 100.1), 5);
    EXPECT_EQ(blocks_in_budget(600, 110, 1, 110), 5);
    EXPECT_EQ(blocks_in_budget(600, 601, 3, 100), 3);  // what was made stays
    EXPECT_EQ(blocks_in_budget(10, 0, 0, 100), 1);     // never none
    EXPECT_EQ(blocks_in_budget(1e9, 0, 0, 0.001), most_blocks);
    EXPECT_EQ(blocks_in_budget(60, 0, 0, 0), 1);
}

TEST(Price, InWords) {
    EXPECT_EQ(price_text(27, 9, 270), "27 runs: 9 blocks of 3; about 4 min 30 s");
    EXPECT_EQ(price_text(1, 1, std::nullopt), "1 run: 1 block of 1");
    EXPECT_EQ(price_text(5, 3, 12), "5 runs: 3 blocks; about 12 s");  // some were made before
}

// 3 epochs of 3,000 images, each with 900 to evaluate, and 600 for the test: 9,000 and 3,300 / 3 at 100 images/s a core.
TEST(Price, BeforeAnythingRan) {
    TrainConfig train;
    train.epochs = 3;
    RunImages images = images_of_run(train, 3000, 900, 600);
    EXPECT_EQ(images.trained, 9000);
    EXPECT_EQ(images.evaluated, 3300);
    RunPrices prices;
    prices.images_per_second = 100;
    const double start = run_seconds({}, prices, {}, 8);
    const auto seconds = [&](const RunShape& shape, int cores) { return run_seconds(images, prices, shape, cores) - start; };
    EXPECT_NEAR(seconds({1, 1}, 8), 101, 1e-9);
    EXPECT_NEAR(seconds({2, 2}, 8), 25.25, 1e-9);
    EXPECT_NEAR(seconds({16, 1}, 2), 50.5, 1e-9);        // cores that are not there give nothing
    EXPECT_NEAR(seconds({1, 1, 1, 3}, 8), 101, 1e-9);    // copies on cores of their own
    EXPECT_NEAR(seconds({1, 1, 1, 3}, 2), 151.5, 1e-9);  // and on two cores
    train.probe = "steps";                               // evaluates nothing
    images = images_of_run(train, 3000, 900, 600);
    EXPECT_NEAR(seconds({1, 1}, 8), 90, 1e-9);
}

// Each process opens the set for itself: all draw at once, with their threads.
TEST(Price, OfOpeningTheSet) {
    RunPrices prices;
    prices.draw_seconds = 0.001;
    prices.read_seconds = 0.002;
    const double start = run_seconds({}, prices, {}, 8);
    RunImages images;
    images.drawn = 4000;
    const auto seconds = [&](const RunShape& shape, int cores) { return run_seconds(images, prices, shape, cores) - start; };
    EXPECT_NEAR(seconds({1, 1}, 8), 4, 1e-9);
    EXPECT_NEAR(seconds({1, 2}, 8), 2, 1e-9);
    EXPECT_NEAR(seconds({4, 2}, 8), 2, 1e-9);
    EXPECT_NEAR(seconds({4, 1}, 2), 8, 1e-9);  // four times the images on two cores
    EXPECT_NEAR(seconds({1, 1, 1, 2}, 1), 8, 1e-9);
    images = {};
    images.read_first = 1000;
    EXPECT_NEAR(seconds({1, 2}, 8), 2, 1e-9);  // by one thread
    EXPECT_NEAR(seconds({4, 2}, 2), 4, 1e-9);
    images = {};
    images.read_beside = 1000;
    EXPECT_NEAR(seconds({1, 1, 1}, 8), 2, 1e-9);
    EXPECT_NEAR(seconds({2, 1, 2}, 8), 0.5, 1e-9);
    images.trained = 3;                           // at one image a second
    EXPECT_NEAR(seconds({1, 1, 1}, 8), 3, 1e-9);  // the slower of both
    EXPECT_NEAR(seconds({1, 1, 0}, 8), 5, 1e-9);  // one after the other, where nobody reads ahead
}

TEST(Price, OfTheLauncher) {
    RunPrices prices;
    prices.launch_seconds = 7;
    EXPECT_GE(run_seconds({}, prices, {2, 1, 1, 1, true}, 2) - run_seconds({}, prices, {2, 1, 1, 1, false}, 2), 7);
}

// Of a run whose drawing takes far more time than its training, the price has the drawing.
TEST(PriceTiming, HasTheDrawingOfTheSet) {
    Config config;
    config.model.name = "pneumonia_cnn";
    config.data.synthetic.count = 2048;
    config.data.synthetic.size = 64;
    config.train.epochs = 1;
    Point serial;
    serial.trainer = "serial";
    const double price = expected_times(config, std::vector<Point>{serial}, {}, {}).of(serial.id()).value();
    const auto begin = std::chrono::steady_clock::now();
    make_synthetic(config.data.synthetic, 1);
    const double drawn = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    EXPECT_GT(price, drawn / 2);
    EXPECT_LT(price, drawn * 5 + 2);
}

TEST(DryRun, ShowsPointsOrderAndPrice) {
    Config config;
    config.model.name = "m";
    config.train.epochs = 2;
    config.scaling.repeats = 2;
    auto points = points_of(3);
    points[2].status = PointStatus::not_run;
    points[2].reason = "needs 3 cores";
    const std::vector<Probe> probes{{"p", "", {}, 1, {}}};
    RunTimes times;
    std::string text = dry_run_text(config, points, probes, times);
    EXPECT_THAT(text,
                testing::HasSubstr("6 runs: 2 blocks of 3\nm, 2 epochs each; order by scaling.seed 1; nothing was run"));
    for (int64_t block = 1; block <= 2; ++block) {
        std::string line = "block " + std::to_string(block) + ":";
        for (const std::string& name : names(schedule_block(points, block, 1, probes), points))
            if (name != "cpu_ddp-r3-t1") line += " " + name + ",";
        line.back() = '\n';
        EXPECT_THAT(text, testing::HasSubstr(line));
    }
    for (const char* run : {"cpu_ddp-r1-t1", "cpu_ddp-r2-t1", "probe p"}) times.expect(run, 20);
    config.scaling.budget_minutes = 5;
    text = dry_run_text(config, points, probes, times);
    EXPECT_THAT(text,
                testing::HasSubstr("15 runs: 5 blocks of 3; about 5 min 00 s; the budget of 5 minutes chose the blocks\n"));
    config.scaling.repeats = 9;
    text = dry_run_text(config, points, probes, times);
    EXPECT_THAT(text, testing::HasSubstr("chose the blocks, FEWER than the 9 repeats asked for\n"));
}

}  // namespace
}  // namespace xbench
