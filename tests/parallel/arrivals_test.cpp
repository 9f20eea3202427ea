// Arrivals at collectives: delays, waits and transfers of times that are given, and what a training logs.
#include "parallel/comm/arrival_summary.h"

#include <gtest/gtest.h>

#include <mutex>
#include <set>

#include "data/datasets.h"
#include "parallel/comm/comm_logged.h"
#include "tests/parallel/small_run.h"
#include "tests/parallel/thread_communicator.h"

namespace xbench {
namespace {

using test::on_ranks;

struct Times {
    double arrived_ms, resumed_ms, done_ms;
};

int64_t ns(double ms) { return static_cast<int64_t>(ms * 1e6); }

// calls[rank][step - 1], one site; rank r's clock is shift_ns[r] ahead of rank 0's. Rank 0's summary.
ArrivalSummary summary_of(const std::vector<std::vector<Times>>& calls, const std::vector<int64_t>& shift_ns = {0, 0, 0},
                          int64_t drift_ns = 0) {
    ArrivalSummary result;
    on_ranks(static_cast<int>(calls.size()), [&](Communicator& ranks) {
        const auto r = static_cast<size_t>(ranks.rank());
        ArrivalLog log;
        ArrivalTrack& track = *log.add_track();
        uint32_t step = 0;
        for (const Times& t : calls[r]) {
            const auto own = [&](double ms) {  // by this rank's clock, whose lead grows over 1,000 ms
                const double lead = r == 0 ? 0 : static_cast<double>(drift_ns) * ms / 1000;
                return ns(ms) + shift_ns[r] + static_cast<int64_t>(lead);
            };
            track.add(CollectiveKind::all_reduce, 64, ++step, own(t.arrived_ms), own(t.resumed_ms), own(t.done_ms));
        }
        const ClockOffset before{shift_ns[r], shift_ns[r]},
            after{ns(1000) + shift_ns[r] + (r == 0 ? 0 : drift_ns), shift_ns[r] + (r == 0 ? 0 : drift_ns)};
        ArrivalSummary mine = summarise(log, ranks, before, after);
        if (r == 0) result = std::move(mine);
    });
    return result;
}

const std::vector<std::vector<Times>> two_ranks{{{1, 1, 3.5}, {5, 5, 5.2}, {7, 7, 8.1}},
                                                {{3, 3, 3.6}, {4, 4, 5.2}, {8, 8, 8.3}}};

void expect_two_ranks(const ArrivalSummary& summary, double tolerance) {
    ASSERT_EQ(summary.sites.size(), 1u);
    const SiteDelays& site = summary.sites[0];
    EXPECT_EQ(site.steps, 3);
    EXPECT_EQ(site.bytes, 64u);
    EXPECT_NEAR(site.share_last[0], 1.0 / 3, 1e-12);
    EXPECT_NEAR(site.share_last[1], 2.0 / 3, 1e-12);
    EXPECT_NEAR(site.delay_ms[0], 1.0 / 3, tolerance);   // rank 1 waited 1 ms in step 2
    EXPECT_NEAR(site.delay_ms[1], 3.0 / 3, tolerance);   // rank 0 waited 2 and 1 ms
    EXPECT_NEAR(site.transfer_ms, 0.95 / 3, tolerance);  // 0.55, 0.2, 0.2
    EXPECT_EQ(site.last_most(), 1u);
}

TEST(Arrivals, DelaysAndTransfers) { expect_two_ranks(summary_of(two_ranks), 1e-9); }

// Another node's clock is 5 s ahead and gains 30 ms more over the run, far more than what is measured.
TEST(Arrivals, OtherClocksAreSetRight) { expect_two_ranks(summary_of(two_ranks, {0, ns(5000)}, ns(30)), 1e-3); }

// Three ranks: a delay is the mean wait of the two others.
TEST(Arrivals, ADelayIsTheMeanWaitOfTheOthers) {
    const SiteDelays site = summary_of({{{1, 1, 5}}, {{2, 2, 5}}, {{4, 4, 5}}}).sites.at(0);
    EXPECT_NEAR(site.delay_ms[2], 2.5, 1e-9);
    EXPECT_EQ(site.delay_ms[0] + site.delay_ms[1], 0);
    EXPECT_NEAR(site.transfer_ms, 1, 1e-9);
}

// Rank 0 computes between the halves of its sum until 2.5: it waits 0.5 ms, and the sum takes what comes behind that.
TEST(Arrivals, ASumInTwoHalvesWaitsFromItsSecondOn) {
    const SiteDelays site = summary_of({{{1, 2.5, 3.2}}, {{3, 3, 3.4}}}).sites.at(0);
    EXPECT_NEAR(site.delay_ms[1], 0.5, 1e-9);
    EXPECT_NEAR(site.transfer_ms, 0.3, 1e-9);
    const SiteDelays late = summary_of({{{1, 3.5, 3.6}}, {{3, 3, 3.4}}}).sites.at(0);
    EXPECT_EQ(late.delay_ms[1], 0);
    EXPECT_NEAR(late.transfer_ms, 0.25, 1e-9);
}

// The first 5 steps of 60 are left out: only there rank 0 is last.
TEST(Arrivals, TheFirstStepsAreLeftOut) {
    std::vector<std::vector<Times>> calls(2);
    for (int step = 0; step < 60; ++step) {
        const double at = 10.0 * step;
        calls[0].push_back({at + (step < 5 ? 9 : 1), at + (step < 5 ? 9 : 1), at + 9.5});
        calls[1].push_back({at + 2, at + 2, at + 9.5});
    }
    const SiteDelays site = summary_of(calls).sites.at(0);
    EXPECT_EQ(site.steps, 55);
    EXPECT_EQ(site.share_last[0], 0);
}

TEST(Arrivals, AFullTrackEndsWithAWholeStep) {
    ArrivalTrack track(5);
    for (uint32_t step = 1; step <= 3; ++step)
        for (int call = 0; call < 2; ++call) track.add(CollectiveKind::meet, 8, step, 1, 1, 2);
    ASSERT_EQ(track.calls().size(), 5u);
    EXPECT_TRUE(track.is_full());
    EXPECT_EQ(track.calls()[3].site, 1u);
    EXPECT_EQ(track.calls()[4].site, 0u);
}

TEST(Arrivals, HalfOfTheStepsAtRandom) {
    int logged = 0;
    for (uint32_t step = 1; step <= 1000; ++step) logged += ArrivalLog::is_logged(ArrivalLog::When::alternate, step) ? 1 : 0;
    EXPECT_NEAR(logged, 500, 80);
    EXPECT_TRUE(ArrivalLog::is_logged(ArrivalLog::When::always, 3));
}

// A training whose ranks are threads: the same weights with and without a log, the same calls in every step, and no call of
// an evaluation.
TrainResult logged_training(int ranks, const Config& config, int stage, ArrivalLog::When when) {
    const auto dataset = open_dataset(config.data);
    TrainResult result;
    on_ranks(ranks, [&](Communicator& communicator) {
        ArrivalLog log(when);
        const auto logged = make_logged(communicator.channel(), log);
        TrainOptions options;
        options.stage = stage;
        options.arrivals = &log;
        TrainResult mine = train(config, *dataset, *logged, options);
        if (communicator.rank() == 0) result = std::move(mine);
    });
    return result;
}

struct Way {
    const char* overlap;
    int stage;
};

TEST(Arrivals, TrainingsLogTheirStepsAndNothingElse) {
    const auto dataset = open_dataset(test::small_run().data);
    for (const Way way : {Way{"inline", 0}, Way{"thread", 0}, Way{"none", 0}, Way{"thread", 2}, Way{"inline", 3}}) {
        SCOPED_TRACE(std::string(way.overlap) + " stage " + std::to_string(way.stage));
        Config config = test::small_run();
        config.train.overlap = way.overlap;
        const TrainResult result = logged_training(2, config, way.stage, ArrivalLog::When::always);
        EXPECT_EQ(result.weights_hash, logged_training(1, config, way.stage, ArrivalLog::When::always).weights_hash);
        ASSERT_TRUE(result.arrivals);
        const int64_t steps = static_cast<int64_t>(result.times.step_ns.size());
        EXPECT_EQ(result.arrivals->steps, steps);  // 14: too few for leaving the first out
        for (const SiteDelays& site : result.arrivals->sites) {
            EXPECT_EQ(site.steps, steps) << site.site;
            EXPECT_NEAR(site.share_last[0] + site.share_last[1], 1, 1e-12);
        }
        ASSERT_EQ(result.arrivals->trace.size(), 2u);
        for (const RankTrace& trace : result.arrivals->trace) {
            ASSERT_EQ(static_cast<int64_t>(trace.marks.size()), steps);
            for (const StepMarks& mark : trace.marks) {
                EXPECT_LE(mark.begin_ns, mark.loaded_ns);
                EXPECT_LE(mark.loaded_ns, mark.computed_ns);
                EXPECT_LE(mark.computed_ns, mark.end_ns);
                for (const auto& [track, call] : trace.calls)
                    if (call.step == mark.step) {
                        EXPECT_GE(call.arrived_ns, mark.loaded_ns);
                        EXPECT_LE(call.done_ns, mark.end_ns);
                    }
            }
            EXPECT_EQ(trace.calls.size(), result.arrivals->sites.size() * static_cast<size_t>(steps));
        }
    }
}

TEST(Arrivals, AlternatingLogsSomeStepsOnly) {
    const TrainResult result = logged_training(2, test::small_run(), 0, ArrivalLog::When::alternate);
    ASSERT_TRUE(result.arrivals);
    int64_t logged = 0;
    for (uint32_t step = 1; step <= result.times.step_ns.size(); ++step)
        logged += ArrivalLog::is_logged(ArrivalLog::When::alternate, step) ? 1 : 0;
    EXPECT_GT(logged, 0);
    EXPECT_LT(logged, static_cast<int64_t>(result.times.step_ns.size()));
    for (const SiteDelays& site : result.arrivals->sites) EXPECT_EQ(site.steps, logged);
}

TEST(Arrivals, ClocksOfOneNodeNeedNoComparison) {
    on_ranks(2, [](Communicator& ranks) { EXPECT_EQ(clock_offset(ranks).offset_ns, 0); });
    test::ThreadTeam two_nodes({0, 1});
    on_ranks(two_nodes, [](Communicator& ranks) {  // one clock in truth: what is found is the skew of leaving a barrier
        EXPECT_LT(std::abs(clock_offset(ranks).offset_ns), 100'000'000);
    });
}

}  // namespace
}  // namespace xbench
