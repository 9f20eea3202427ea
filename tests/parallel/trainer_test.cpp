// What a training gives: times, losses, checkpoints, weights it starts from; and what it refuses.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>
#include <thread>

#include "core/error.h"
#include "core/rng.h"
#include "data/datasets.h"
#include "data/set/memory_dataset.h"
#include "models/registry.h"
#include "parallel/checkpoint/checkpoint.h"
#include "parallel/train/health.h"
#include "parallel/train/inference.h"
#include "tests/parallel/late_dataset.h"
#include "tests/parallel/run_on.h"
#include "tests/parallel/temporary_folder.h"

namespace xbench::test {
namespace {

TEST(Trainer, EveryImageIsCountedOnce) {
    const Config config = small_run();
    const TrainResult result = run_on(2, config);
    const auto dataset = open_dataset(config.data);
    EXPECT_EQ(result.history[0].images, static_cast<int64_t>(dataset->indices(Split::train).size()));
    EXPECT_EQ(result.val.count, static_cast<int64_t>(dataset->indices(Split::val).size()));
    EXPECT_EQ(result.test.count, static_cast<int64_t>(dataset->indices(Split::test).size()));
    EXPECT_EQ(result.times.step_ns.size(), result.times.step_images.size());
    EXPECT_EQ(result.times.step_ns.size(), 2u * 7u);
}

// The watcher and whoever may stop the run take their time between the steps, and no step holds any of it.
TEST(Trainer, WhatLiesBetweenStepsIsInNoStep) {
    const Config config = small_run();
    const auto dataset = open_dataset(config.data);
    const auto communicator = make_self_communicator();
    constexpr std::chrono::milliseconds pause{5};
    TrainOptions options;
    options.progress = [&](const TrainProgress& p) {
        if (!p.finished_epoch) std::this_thread::sleep_for(pause);
    };
    options.stop = [&] {
        std::this_thread::sleep_for(pause);
        return false;
    };
    const TrainResult result = train(config, *dataset, *communicator, options);
    ASSERT_EQ(result.times.between_steps_ns.size(), 2u * 7u);
    for (const int64_t ns : result.times.between_steps_ns) EXPECT_GE(ns, 2 * std::chrono::nanoseconds(pause).count());
    const auto sum = [](const std::vector<int64_t>& ns) { return std::accumulate(ns.begin(), ns.end(), int64_t{0}); };
    const auto all_pauses = 2 * 2 * 7 * std::chrono::nanoseconds(pause).count();
    EXPECT_LE(static_cast<double>(sum(result.times.step_ns) + all_pauses), result.train_seconds * 1e9);
    EXPECT_LE(static_cast<double>(sum(result.times.step_ns) + sum(result.times.between_steps_ns)),
              result.train_seconds * 1e9);
}

TEST(TrainerTiming, WaitingForALateRankIsSkew) {
    Config config = small_run();
    config.data.workers = 0;  // reading is part of the step
    const auto dataset = open_dataset(config.data);
    constexpr std::chrono::milliseconds late{20};
    const LateDataset late_one(*dataset, late);
    TrainResult result;
    on_ranks(2, [&](Communicator& communicator) {
        const Dataset* mine = dataset.get();
        if (communicator.rank() == 1) mine = &late_one;
        TrainResult of_rank = train(config, *mine, communicator, {});
        if (communicator.rank() == 0) result = std::move(of_rank);
    });
    ASSERT_EQ(result.times.skew_ns.size(), result.times.comm_ns.size());
    std::vector<int64_t> skew = result.times.skew_ns;
    for (size_t i = 0; i < skew.size(); ++i) {
        EXPECT_GE(skew[i], 0);
        EXPECT_LE(skew[i], result.times.comm_ns[i]);
    }
    std::nth_element(skew.begin(), skew.begin() + static_cast<int64_t>(skew.size() / 2), skew.end());
    EXPECT_GT(skew[skew.size() / 2], std::chrono::nanoseconds(late).count() / 2);
}

TEST(Trainer, LearnsTheTrainingSet) {
    Config config = small_run();
    config.train.epochs = 12;
    const TrainResult result = run_on(1, config);
    EXPECT_LT(result.history.back().train_loss, 0.8 * result.history.front().train_loss);
}

TEST(Trainer, TheCheckpointIsTheBestEpoch) {
    const Config config = small_run();
    const auto folder = std::filesystem::path(testing::TempDir()) / "xbench_trainer_checkpoint";
    std::filesystem::create_directories(folder);
    const auto dataset = open_dataset(config.data);
    const auto communicator = make_self_communicator();
    TrainOptions options;
    options.checkpoint_dir = folder;
    const TrainResult result = train(config, *dataset, *communicator, options);
    const WeightSet best = load_weights(folder);
    EXPECT_EQ(weights_hash(best), result.weights_hash);
    EXPECT_EQ(weights_hash(load_weights(folder / "last.safetensors")), result.final_weights_hash);

    const ModelDescription about = description_of(best, "checkpoint");
    const auto indices = dataset->indices(Split::test);
    Cpu device;
    const Predictions predictions = predict(build_model(about.model), best, about, *dataset, indices, device);
    const Metrics metrics = compute_metrics(predictions, about.class_names);
    EXPECT_EQ(metrics.confusion, result.test.confusion);
    EXPECT_NEAR(metrics.loss, result.test.loss, 1e-9);
    std::filesystem::remove_all(folder);
}

// The weights of one training are the start of the next, on one rank and on two, whole and sharded.
TEST(Trainer, StartsFromWeightsOnAnyNumberOfRanks) {
    const TemporaryFolder folder;
    Config config = small_run();
    const auto dataset = open_dataset(config.data);
    const auto communicator = make_self_communicator();
    TrainOptions options;
    options.checkpoint_dir = folder.path();
    const TrainResult first = train(config, *dataset, *communicator, options);
    config.train.weights = (folder.path() / "last.safetensors").string();
    config.train.epochs = 1;
    const TrainResult next = run_on(1, config);
    EXPECT_LT(next.history[0].train_loss, first.history[0].train_loss);
    EXPECT_EQ(run_on(2, config).final_weights_hash, next.final_weights_hash);
    EXPECT_EQ(run_on(2, config, 1, 1).final_weights_hash, next.final_weights_hash);
    EXPECT_EQ(run_on(2, config, 1, 3).final_weights_hash, next.final_weights_hash);
    config.train.learning_rate = 1e-30;  // no step leaves the start, whose weights the checkpoint has
    config.model.bn_momentum = 1e-30;
    EXPECT_EQ(run_on(2, config).final_weights_hash, first.final_weights_hash);
    config.model.widths = {4, 6, 9};
    EXPECT_THROW(run_on(2, config), Error);
}

TEST(Trainer, ImpossibleSetupsAreRefused) {
    Config config = small_run();
    config.train.virtual_ranks = 2;
    EXPECT_THROW(run_on(4, config), UsageError);
    config.train.virtual_ranks = 32;  // more than the batch
    EXPECT_THROW(run_on(1, config), UsageError);
}

// Two labels an image; each is right in a quarter of the images and shows as a bright half.
ImageSet two_labels() {
    ImageSet set;
    set.records.info = {"two labels", 96, 1, 24, 24, 1, {"left", "right"}, true};
    Random random(3, RandomUse::test_data);
    for (int64_t i = 0; i < 96; ++i) {
        const bool left = random.below(4) == 0, right = random.below(4) == 0;
        for (const bool label : {left, right}) set.records.targets.push_back(label);
        set.records.splits.push_back(static_cast<uint8_t>(i < 64 ? 0 : i < 80 ? 1 : 2));
        set.records.ids.push_back(std::to_string(i));
        for (int pixel = 0; pixel < 24 * 24; ++pixel) {
            const bool bright = pixel % 24 < 12 ? left : right;
            set.pixels.push_back(static_cast<uint8_t>(random.below(100) + (bright ? 60 : 0)));
        }
    }
    return set;
}

TEST(Trainer, PositiveWeightsAreThoseOfTheConfiguration) {
    const MemoryDataset dataset(two_labels());
    const auto communicator = make_self_communicator();
    Config config = small_run();
    const auto losses_with = [&](std::vector<double> weights) {
        config.train.pos_weight = std::move(weights);
        return train(config, dataset, *communicator, {});
    };
    const TrainResult plain = losses_with({}), ones = losses_with({1, 1}), heavy = losses_with({5});
    EXPECT_EQ(plain.final_weights_hash, ones.final_weights_hash);
    EXPECT_NE(plain.final_weights_hash, heavy.final_weights_hash);
    EXPECT_GT(heavy.history[0].train_loss, 1.3 * plain.history[0].train_loss);
    EXPECT_EQ(losses_with({5, 5}).final_weights_hash, heavy.final_weights_hash);
    EXPECT_NE(losses_with({5, 1}).final_weights_hash, heavy.final_weights_hash);
    EXPECT_THROW(losses_with({1, 2, 3}), UsageError);
    config.train.pos_weight = {2};
    EXPECT_THROW(run_on(1, config), UsageError);  // single-label images
}

TEST(Trainer, MissingSplitsAreFoundBeforeTheFirstStep) {
    const Config config = small_run();
    const auto communicator = make_self_communicator();
    for (const int missing : {0, 1, 2}) {
        ImageSet set = two_labels();
        for (uint8_t& split : set.records.splits)
            if (split == missing) split = static_cast<uint8_t>(missing == 0);
        const MemoryDataset dataset(std::move(set));
        bool begun = false;
        TrainOptions options;
        options.started = [&](const TrainStart&) { begun = true; };
        if (missing == 2) {
            const TrainResult result = train(config, dataset, *communicator, options);
            EXPECT_EQ(result.test.count, 0);
            EXPECT_GT(result.val.count, 0);
            EXPECT_EQ(result.weights_hash.size(), 32u);
            continue;
        }
        EXPECT_THROW(train(config, dataset, *communicator, options), Error);
        EXPECT_FALSE(begun);
    }
}

}  // namespace
}  // namespace xbench::test
