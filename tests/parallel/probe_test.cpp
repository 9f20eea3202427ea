// Trainings for their times alone: what they leave out, what their communicator and loader do, the time that is useful, and
// the losses that tests plant.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <numeric>

#include "core/error.h"
#include "parallel/comm/arrivals_only.h"
#include "parallel/comm/slow_link.h"
#include "parallel/train/planted_loss.h"
#include "tests/parallel/run_on.h"

namespace xbench::test {
namespace {

// Every collective on data leaves it alone, and returns on no rank before the last has come.
TEST(ArrivalsOnly, WaitsForAllAndMovesNothing) {
    std::atomic<int> arrived{0};
    on_ranks(3, [&](Communicator& ranks) {
        const auto ideal = make_arrivals_only(ranks.channel());
        const auto mine = static_cast<float>(ranks.rank());
        std::vector<float> data(7, mine);
        std::vector<double> sums(7, 2.0 * static_cast<double>(mine));
        const SumTree tree = sum_tree(3, 3);
        const auto meets = [&](auto&& collective) {
            ranks.barrier();
            if (ranks.rank() == 0) arrived = 0;
            ranks.barrier();
            ++arrived;
            collective();
            EXPECT_EQ(arrived, 3);
        };
        meets([&] { ideal->all_reduce_sum(data.data(), 7, Reduction::fast); });
        meets([&] { ideal->all_reduce_tree(data.data(), 7, 0, tree); });
        meets([&] { ideal->all_reduce_tree(sums.data(), 7, 0, tree); });
        meets([&] { ideal->reduce_scatter_sum(data.data(), 7, Reduction::invariant); });
        meets([&] { ideal->all_gather(data.data(), 7); });
        meets([&] { ideal->broadcast(data.data(), 28, 1); });
        meets([&] {
            ideal->begin_sum(sums.data(), 7, 0, tree, Reduction::invariant);
            ideal->end_sum();
        });
        EXPECT_EQ(data, std::vector<float>(7, mine));
        EXPECT_EQ(sums, std::vector<double>(7, 2.0 * static_cast<double>(mine)));
        double most = static_cast<double>(ranks.rank());
        ideal->all_reduce_max(&most, 1);  // what ranks tell each other besides tensors still goes
        EXPECT_EQ(most, 2);
        EXPECT_EQ(ideal->copies(data.data()), std::vector<void*>(3, data.data()));
        EXPECT_EQ(ideal->split(0)->size(), 3);
    });
}

TrainResult probe_on(int ranks, const std::string& kind, int stage = 0, double slow_bytes_per_second = 0) {
    Config config = small_run();
    config.train.probe = kind;
    const auto dataset = open_dataset(config.data);
    TrainResult result;
    TrainOptions options;
    options.stage = stage;
    on_ranks(ranks, [&](Communicator& communicator) {
        std::unique_ptr<Communicator> over = communicator.channel();
        if (slow_bytes_per_second > 0) over = make_slow_link(std::move(over), {slow_bytes_per_second, 0});
        if (kind == "arrivals") over = make_arrivals_only(std::move(over));
        TrainResult mine = train(config, *dataset, *over, options);
        if (communicator.rank() == 0) result = std::move(mine);
    });
    return result;
}

TEST(ProbeTraining, HasTimesAndNothingElse) {
    const TrainResult full = run_on(2, small_run());
    EXPECT_EQ(full.times.useful_of_rank_ns.size(), 2u);
    for (const char* kind : {"steps", "preloaded", "arrivals"})
        for (const int stage : {0, 2, 3}) {
            if (stage > 0 && std::string(kind) != "arrivals") continue;
            SCOPED_TRACE(std::string(kind) + ", stage " + std::to_string(stage));
            const TrainResult probe = probe_on(2, kind, stage);
            EXPECT_EQ(probe.times.step_ns.size(), full.times.step_ns.size());
            EXPECT_EQ(probe.times.step_images, full.times.step_images);
            EXPECT_EQ(probe.images_trained, full.images_trained);
            EXPECT_EQ(probe.weights_hash, "");
            EXPECT_EQ(probe.final_weights_hash, "");
            EXPECT_EQ(probe.val.count, 0);
            EXPECT_EQ(probe.test.count, 0);
        }
}

// The ideal network is that of the slow one's way of reducing.
TEST(ProbeTraining, ArrivalsReduceAsTheRealOnesDo) {
    EXPECT_EQ(probe_on(2, "arrivals", 0, 1e12).overlap, "thread");
    EXPECT_EQ(probe_on(2, "arrivals").overlap, probe_on(2, "preloaded").overlap);
}

// What a rank computes is at most the step, and its mean over the ranks at most that of the slowest.
TEST(UsefulTime, LiesWithinTheStep) {
    const TrainResult result = run_on(3, small_run());
    const StepTimes& times = result.times;
    ASSERT_EQ(times.useful_ns.size(), times.step_ns.size());
    for (size_t i = 0; i < times.step_ns.size(); ++i) {
        EXPECT_GT(times.useful_ns[i], 0);
        EXPECT_LE(times.useful_ns[i], times.step_ns[i]);
    }
    ASSERT_EQ(times.useful_of_rank_ns.size(), 3u);
    const size_t skip = warmup_steps(times.step_ns.size());
    const auto sum = static_cast<double>(
        std::accumulate(times.useful_ns.begin() + static_cast<std::ptrdiff_t>(skip), times.useful_ns.end(), int64_t{0}));
    for (const double mean : times.useful_of_rank_ns)
        EXPECT_LE(mean, sum / static_cast<double>(times.useful_ns.size() - skip) + 1);
}

class Planted : public testing::Test {
protected:
    void SetUp() override { unsetenv("XBENCH_PLANT"); }
    void TearDown() override { unsetenv("XBENCH_PLANT"); }
    static void plant(const std::string& text) { setenv("XBENCH_PLANT", text.c_str(), 1); }
};

TEST_F(Planted, IsReadOrRefused) {
    EXPECT_EQ(planted_loss().delay_of(0, 2, 0), 0);
    plant("delay=0,2 rotate=1 step=0.5 starve=12 hog=0.25");
    const PlantedLoss loss = planted_loss();
    EXPECT_EQ(loss.delay_of(0, 2, 0), 0.5);
    EXPECT_EQ(loss.delay_of(1, 2, 0), 2.5);
    EXPECT_EQ(loss.delay_of(0, 2, 1), 2.5);
    EXPECT_EQ(loss.delay_of(1, 2, 1), 0.5);
    EXPECT_EQ(loss.delay_of(0, 1, 1), 0.5) << "one rank alone is delayed by no other";
    EXPECT_EQ(loss.starve_ms, 12);
    EXPECT_EQ(loss.hog_share, 0.25);
    for (const char* wrong :
         {"delay", "delay=", "delay=x", "delay=-1", "delay=1,", "step=1,2", "hog=1", "hog=nan", "slow=1"}) {
        plant(wrong);
        EXPECT_THROW(planted_loss(), UsageError) << wrong;
    }
}

// A rank that is planted to compute longer does so in every step; the other need not.
TEST_F(Planted, DelaysAreUsefulTimeOfTheirRank) {
    plant("delay=0,3");
    const TrainResult delayed = run_on(2, small_run());
    EXPECT_GE(delayed.times.useful_of_rank_ns[1], 3e6);
    for (const int64_t ns : delayed.times.useful_ns) EXPECT_GE(ns, 3'000'000);
    unsetenv("XBENCH_PLANT");
    EXPECT_EQ(run_on(2, small_run()).weights_hash, delayed.weights_hash) << "nothing but the time changes";
}

TEST_F(Planted, StarvingMakesRanksWaitForBatchesUnlessTheyAreInMemory) {
    plant("starve=30");  // the first batch of an epoch always does
    const auto waited = [](const TrainResult& result) {
        return std::accumulate(result.times.load_ns.begin(), result.times.load_ns.end(), int64_t{0});
    };
    const int64_t starved = waited(probe_on(2, "steps")), preloaded = waited(probe_on(2, "preloaded")),
                  alone = waited(probe_on(1, "steps"));
    EXPECT_GT(starved, 30'000'000);
    EXPECT_LT(preloaded, starved / 2);
    EXPECT_LT(alone, starved / 2);
}

}  // namespace
}  // namespace xbench::test
