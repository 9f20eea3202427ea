// When gradients are reduced must change nothing but the time: buckets, the three modes, failures, and how much of a slow
// link's time a communication thread hides.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "core/error.h"
#include "data/datasets.h"
#include "models/registry.h"
#include "parallel/comm/slow_link.h"
#include "parallel/strategy/gradient_buckets.h"
#include "tests/parallel/small_run.h"
#include "tests/parallel/thread_communicator.h"

namespace xbench::test {
namespace {

Plan plan_of(const char* name, int64_t size = 0) {
    ModelConfig config;
    config.name = name;
    if (size > 0) config.size = size;
    return compile(build_model(resolve_model(config)), Target{Isa::portable}, {});
}

TEST(GradientBuckets, CoverTheGradientsInTheOrderInWhichTheyAreReady) {
    for (const ModelInfo& info : model_table())
        for (const Overlap when : {Overlap::inline_, Overlap::thread}) {
            SCOPED_TRACE(info.name);
            const Plan plan = plan_of(info.name);
            const auto buckets = cut_buckets(plan, when);
            int64_t end = 0;
            size_t step = 0;
            for (const Bucket& bucket : buckets) {
                EXPECT_EQ(bucket.span.begin, end);
                EXPECT_LE(bucket.span.end - bucket.span.begin, int64_t{1} << 20);
                EXPECT_GE(bucket.step, step);
                EXPECT_GE(plan.steps[bucket.step].gradients.end, bucket.span.end) << "not complete at that step";
                end = bucket.span.end;
                step = bucket.step;
            }
            EXPECT_EQ(end, plan.parameters.parameter_elements);
        }
    EXPECT_GT(cut_buckets(plan_of("rsna_cnn"), Overlap::inline_).size(), 4u);
    EXPECT_GE(cut_buckets(plan_of("cifar_cnn"), Overlap::inline_).size(), 2u);
    EXPECT_EQ(cut_buckets(plan_of("pneumonia_cnn"), Overlap::inline_).size(), 1u);
    EXPECT_GE(cut_buckets(plan_of("pneumonia_cnn"), Overlap::thread).size(), 2u);
}

TrainResult run_on(int ranks, const Config& config, LinkSpeed link = {}) {
    const auto dataset = open_dataset(config.data);
    TrainResult result;
    on_ranks(ranks, [&](Communicator& communicator) {
        std::unique_ptr<Communicator> slow;
        if (link.bytes_per_second > 0) slow = make_slow_link(communicator.channel(), link);
        TrainResult mine = train(config, *dataset, slow ? *slow : communicator, {});
        if (communicator.rank() == 0) result = std::move(mine);
    });
    return result;
}

TEST(Overlap, TheSameWeightsInEveryMode) {
    Config config = small_run();
    config.model.name = "cifar_cnn";
    config.model.widths.clear();
    config.data.synthetic.size = 16;
    config.data.synthetic.count = 60;
    config.train.epochs = 1;
    const std::string one = run_on(1, config).final_weights_hash;
    for (const char* mode : {"none", "inline", "thread"})
        for (const int ranks : {2, 3}) {
            config.train.overlap = mode;
            const TrainResult result = run_on(ranks, config);
            EXPECT_EQ(result.overlap, mode);
            EXPECT_EQ(result.final_weights_hash, one) << mode << ", " << ranks << " ranks";
        }
    config.train.overlap = "auto";
    const TrainResult slow = run_on(2, config, {1e8, 1e-5});
    EXPECT_EQ(slow.overlap, "thread");
    EXPECT_EQ(slow.final_weights_hash, one);
    EXPECT_EQ(run_on(2, config).overlap, "inline");
}

// Reducing that fails in the thread is an error of the training thread.
TEST(Overlap, AFailureOfTheThreadReachesTheCaller) {
    const Plan plan = plan_of("pneumonia_cnn", 32);
    on_ranks(1, [&](Communicator& communicator) {
        Cpu cpu;
        BucketReducer reducer(Overlap::thread, cpu, communicator, cut_buckets(plan, Overlap::thread), plan.steps.size(),
                              [](size_t, Communicator&) { throw Error("the network is gone"); });
        reducer.after_step(plan.steps.size() - 1);
        EXPECT_THROW(reducer.finish(), Error);
        EXPECT_FALSE(reducer.stuck());
    });
}

TEST(Overlap, BucketsAreReducedOnceAndInOrder) {
    const Plan plan = plan_of("rsna_cnn");
    for (const Overlap when : {Overlap::none, Overlap::inline_, Overlap::thread})
        on_ranks(1, [&](Communicator& communicator) {
            std::vector<size_t> order;
            Cpu cpu;
            BucketReducer reducer(when, cpu, communicator, cut_buckets(plan, when), plan.steps.size(),
                                  [&](size_t bucket, Communicator&) { order.push_back(bucket); });
            for (int step = 0; step < 3; ++step) {
                order.clear();
                for (size_t i = 0; i < reducer.wanted_calls().size(); ++i)
                    if (reducer.wanted_calls()[i] == hear_after_step) reducer.after_step(i);
                EXPECT_EQ(when == Overlap::inline_ ? order.size() : reducer.buckets().size(), reducer.buckets().size());
                reducer.finish();
                ASSERT_EQ(order.size(), reducer.buckets().size());
                EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
            }
        });
}

TEST(SlowLink, TakesAsLongAsItsBytesNeed) {
    on_ranks(2, [](Communicator& communicator) {
        const auto slow = make_slow_link(communicator.channel(), {1e8, 1e-3});
        std::vector<float> data(1'000'000, 1.0f);
        const auto start = std::chrono::steady_clock::now();
        slow->all_reduce_sum(data.data(), data.size(), Reduction::fast);
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        EXPECT_GE(seconds, 0.041);  // 4 MB at 100 MB/s, and a millisecond
        EXPECT_EQ(data[17], 2.0f);
    });
}

// Computing that sleeps in place of computing, and a link that sleeps: how much of the link's time is left over is then a
// matter of when buckets are reduced, not of how busy the machine is. Communication takes half as long as the backward pass.
TEST(GradientBucketsTiming, AThreadHidesASlowLink) {
    const Plan plan = plan_of("rsna_cnn");
    const std::vector<Bucket> buckets = cut_buckets(plan, Overlap::thread);
    const auto bytes = static_cast<double>(plan.parameters.parameter_elements) * sizeof(float);
    const double backward = 0.6;  // seconds
    // Sleeps through the backward pass of plan and then waits for what is left; returns seconds beyond the sleep.
    const auto exposed = [&](Overlap when) {
        std::vector<double> seconds(2);
        on_ranks(2, [&](Communicator& ranks) {
            const auto link = make_slow_link(ranks.channel(), {bytes / (0.5 * backward), 0});
            std::vector<float> gradients(static_cast<size_t>(plan.parameters.parameter_elements));
            Cpu cpu;
            BucketReducer reducer(when, cpu, *link, buckets, plan.steps.size(), [&](size_t bucket, Communicator& over) {
                const FlatSpan& span = buckets[bucket].span;
                over.all_reduce_sum(gradients.data() + span.begin, static_cast<size_t>(span.end - span.begin),
                                    Reduction::fast);
            });
            const size_t first = buckets[0].step, last = buckets.back().step;
            const auto start = std::chrono::steady_clock::now();
            for (size_t step = first; step <= last; ++step) {
                if (step > first)
                    std::this_thread::sleep_until(
                        start + std::chrono::duration<double>(backward * static_cast<double>(step - first) /
                                                              static_cast<double>(last - first)));
                if (when != Overlap::none && reducer.wanted_calls()[step] == hear_after_step) reducer.after_step(step);
            }
            reducer.finish();
            const std::chrono::duration<double> all = std::chrono::steady_clock::now() - start;
            seconds[static_cast<size_t>(ranks.rank())] = all.count() - backward;
        });
        return std::max(seconds[0], seconds[1]);
    };
    const double behind = exposed(Overlap::none);
    EXPECT_GT(behind, 0.45 * backward);
    double hidden = exposed(Overlap::thread);
    for (int again = 0; again < 2 && hidden >= 0.2 * behind; ++again)
        hidden = exposed(Overlap::thread);  // the machine was busy
    EXPECT_LT(hidden, 0.2 * behind);
}

}  // namespace
}  // namespace xbench::test
