// One process against several ranks (threads here; tests/parallel/mpi_ranks.cpp does the same over MPI).
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

TEST(Trainer, SameWeightsAtAnyNumberOfRanksAndThreads) {
    const Config config = small_run();
    const TrainResult one = run_on(1, config);
    ASSERT_EQ(one.final_weights_hash.size(), 32u);
    for (const int ranks : {2, 3, 4, 5, 8}) {
        const TrainResult many = run_on(ranks, config);
        EXPECT_EQ(many.final_weights_hash, one.final_weights_hash) << ranks << " ranks";
        EXPECT_EQ(many.weights_hash, one.weights_hash);
        EXPECT_EQ(many.test.loss, one.test.loss);
        EXPECT_EQ(many.history[1].train_loss, one.history[1].train_loss);
    }
    EXPECT_EQ(run_on(1, config, 2).final_weights_hash, one.final_weights_hash);
    EXPECT_EQ(run_on(2, config, 2).final_weights_hash, one.final_weights_hash);
}

TEST(Trainer, SameWeightsWithDropoutAtAnyNumberOfRanks) {
    Config config = small_run();
    config.model.name = "fracture_cnn";
    config.data.synthetic.size = 32;
    const TrainResult one = run_on(1, config);
    EXPECT_EQ(run_on(4, config).final_weights_hash, one.final_weights_hash);
    config.train.seed = 2;
    EXPECT_NE(run_on(1, config).final_weights_hash, one.final_weights_hash);
}

TEST(Trainer, SameWeightsWhenTheOptimizerIsSharded) {
    Config config = small_run();
    for (const char* optimizer : {"adam", "sgd"}) {
        config.train.optimizer = optimizer;
        const TrainResult one = run_on(1, config);
        for (const int ranks : {1, 2, 3, 4}) {
            const TrainResult sharded = run_on(ranks, config, 1, 1);
            EXPECT_EQ(sharded.final_weights_hash, one.final_weights_hash) << optimizer << ", " << ranks << " ranks";
            // Ranges are whole cache lines of 16 elements; there are at most two moments.
            EXPECT_LE(sharded.optimizer_bytes, one.optimizer_bytes / static_cast<size_t>(ranks) + 2 * 2 * 64);
        }
    }
}

TEST(Trainer, SameWeightsInBf16AtAnyNumberOfRanksAndThreads) {
    for (const char* model : {"pneumonia_cnn", "fracture_cnn"}) {  // plain and blocked images
        SCOPED_TRACE(model);
        Config config = small_run();
        config.model.name = model;
        config.data.synthetic.size = 32;
        config.train.epochs = 1;
        const auto fp32 = run_on(1, config).final_weights_hash;
        config.train.precision = "bf16";
        const TrainResult one = run_on(1, config);
        EXPECT_NE(one.final_weights_hash, fp32);
        for (const int ranks : {2, 4}) EXPECT_EQ(run_on(ranks, config).final_weights_hash, one.final_weights_hash) << ranks;
        EXPECT_EQ(run_on(2, config, 2).final_weights_hash, one.final_weights_hash);
        EXPECT_EQ(run_on(1, config, 2).final_weights_hash, one.final_weights_hash);
    }
}

// What rounding to bf16 costs must lie within what another seed costs fp32.
TEST(Trainer, Bf16LearnsAsWellAsFp32) {
    Config config = small_run();
    config.data.synthetic.count = 400;
    config.train.epochs = 12;
    constexpr int seeds = 4;
    std::vector<double> fp32, bf16;
    double fp32_accuracy = 0, bf16_accuracy = 0, first_loss = 0;
    for (config.train.seed = 1; config.train.seed <= seeds; ++config.train.seed)
        for (const char* precision : {"fp32", "bf16"}) {
            config.train.precision = precision;
            const TrainResult result = run_on(1, config);
            const bool rounded = config.train.precision == "bf16";
            (rounded ? bf16 : fp32).push_back(result.history.back().train_loss);
            (rounded ? bf16_accuracy : fp32_accuracy) += result.test.accuracy / seeds;
            first_loss = result.history.front().train_loss;
        }
    const auto [low, high] = std::minmax_element(fp32.begin(), fp32.end());
    const double mean = std::accumulate(bf16.begin(), bf16.end(), 0.0) / seeds;
    EXPECT_LE(mean, *high + (*high - *low));
    EXPECT_LT(mean, 0.8 * first_loss);
    EXPECT_GT(bf16_accuracy, fp32_accuracy - 0.06);
}

TEST(Trainer, OtherVirtualRanksAreAnotherOrderOfAddition) {
    Config config = small_run();
    const auto eight = run_on(1, config).final_weights_hash;
    config.train.virtual_ranks = 4;
    EXPECT_NE(run_on(1, config).final_weights_hash, eight);
}

// One step of plain SGD moves the weights by the gradient of the whole batch, however the batch is cut.
TEST(Trainer, EveryNumberOfVirtualRanksUsesTheWholeGradient) {
    Config config = small_run();
    config.train.optimizer = "sgd";
    config.train.momentum = 0;
    config.train.epochs = 1;
    config.train.batch_size = 24;
    config.data.synthetic.count = 34;  // 24 to train on: one step
    const auto weights_after = [&](double learning_rate, int ranks) {
        config.train.learning_rate = learning_rate;
        const TemporaryFolder folder;
        const auto dataset = open_dataset(config.data);
        TrainOptions options;
        options.checkpoint_dir = folder.path();
        on_ranks(ranks, [&](Communicator& communicator) {
            ASSERT_EQ(train(config, *dataset, communicator, options).steps_done, 1u);
        });
        std::vector<double> all;
        const WeightSet weights = load_weights(folder.path() / "last.safetensors");
        for (const NamedTensor& tensor : weights.tensors)
            if (tensor.name.find("running") == std::string::npos)
                all.insert(all.end(), tensor.data.begin(), tensor.data.end());
        return all;
    };
    const std::vector<double> before = weights_after(1e-30, 1);
    config.train.virtual_ranks = 1;
    const std::vector<double> right = weights_after(0.01, 1);
    for (config.train.virtual_ranks = 2; config.train.virtual_ranks <= 24; ++config.train.virtual_ranks)
        for (const int ranks : {1, 2}) {
            const std::vector<double> cut = weights_after(0.01, ranks);
            double moved = 0, off = 0;
            for (size_t i = 0; i < right.size(); ++i) {
                moved += (right[i] - before[i]) * (right[i] - before[i]);
                off += (right[i] - cut[i]) * (right[i] - cut[i]);
            }
            ASSERT_GT(moved, 0);
            EXPECT_LT(std::sqrt(off / moved), 1e-4) << config.train.virtual_ranks << " virtual ranks, " << ranks << " ranks";
        }
}

TEST(Trainer, SameWeightsWhereVirtualRanksAreNoPowerOfTwo) {
    Config config = small_run();
    for (const char* batchnorm : {"global", "local"})
        for (const int64_t leaves : {3, 5, 6, 7, 12}) {
            SCOPED_TRACE(testing::Message() << leaves << " virtual ranks, batchnorm " << batchnorm);
            config.train.batchnorm = batchnorm;
            config.train.virtual_ranks = leaves;
            const TrainResult one = run_on(1, config);
            EXPECT_EQ(run_on(1, config, 2).final_weights_hash, one.final_weights_hash);
            for (const int ranks : {2, 3}) {
                EXPECT_EQ(run_on(ranks, config).final_weights_hash, one.final_weights_hash) << ranks << " ranks";
                EXPECT_EQ(run_on(ranks, config, 1, 3).final_weights_hash, one.final_weights_hash) << ranks << " sharded";
            }
        }
}

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
    const Predictions predictions = predict(build_model(about.model), best, about, *dataset, indices, 1);
    const Metrics metrics = compute_metrics(predictions, about.class_names);
    EXPECT_EQ(metrics.confusion, result.test.confusion);
    EXPECT_NEAR(metrics.loss, result.test.loss, 1e-9);
    std::filesystem::remove_all(folder);
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

// Trains until `stop_after` steps are done in this process (negative: to the end), from the newest checkpoint on.
TrainResult go_on(int ranks, const Config& config, const std::filesystem::path& folder, int stop_after, int stage = 0) {
    const auto dataset = open_dataset(config.data);
    TrainResult result;
    on_ranks(ranks, [&](Communicator& communicator) {
        TrainOptions options;
        options.checkpoint_dir = folder;
        options.resume = true;
        options.stage = stage;
        int asked = 0;
        options.stop = [&, rank = communicator.rank()] { return rank == 0 && ++asked == stop_after; };
        TrainResult mine = train(config, *dataset, communicator, options);
        if (communicator.rank() == 0) result = std::move(mine);
    });
    return result;
}

struct CheckpointFolder {
    CheckpointFolder() {
        static int made = 0;
        path = std::filesystem::path(testing::TempDir()) /
               ("xbench_resume_" + std::to_string(getpid()) + "_" + std::to_string(made++));
        std::filesystem::create_directories(path);
    }
    ~CheckpointFolder() { std::filesystem::remove_all(path); }
    std::filesystem::path path;
};

TEST(Resume, AnInterruptedRunEndsWithTheSameWeightsOnOtherRanks) {
    const Config config = small_run();
    const TrainResult whole = run_on(1, config);
    // 7 steps an epoch: inside the first, at its very end, inside the second.
    for (const std::vector<int>& stops : {std::vector<int>{3}, {7}, {9}, {1, 6, 4}}) {
        const CheckpointFolder folder;
        int ranks = 1, done = 0;
        for (const int stop : stops) {
            const TrainResult part = go_on(ranks, config, folder.path, stop);
            EXPECT_TRUE(part.interrupted);
            EXPECT_EQ(part.resumed_at, static_cast<uint32_t>(done));
            done += stop;
            ranks = ranks % 4 + 1;
        }
        const TrainResult rest = go_on(ranks, config, folder.path, -1);
        EXPECT_FALSE(rest.interrupted);
        EXPECT_EQ(rest.final_weights_hash, whole.final_weights_hash);
        EXPECT_EQ(rest.weights_hash, whole.weights_hash);
        EXPECT_EQ(rest.best_epoch, whole.best_epoch);
        EXPECT_EQ(rest.test.loss, whole.test.loss);
        EXPECT_EQ(rest.val.loss, whole.val.loss);
        ASSERT_EQ(rest.history.size(), 2u);
        for (size_t e = 0; e < 2; ++e) EXPECT_EQ(rest.history[e].train_loss, whole.history[e].train_loss);
    }
}

// Times and images are of the whole run, also of an epoch that was cut in two.
TEST(Resume, TheFiguresOfAResumedRunAreOfTheWhole) {
    Config config = small_run();
    const CheckpointFolder folder;
    const TrainResult first = go_on(1, config, folder.path, 10);  // in the second epoch
    const TrainResult rest = go_on(1, config, folder.path, -1);
    ASSERT_EQ(rest.history.size(), 2u);
    EXPECT_EQ(rest.images_trained, 2 * first.history[0].images);
    EXPECT_EQ(rest.history[1].images, first.history[0].images);
    EXPECT_EQ(rest.history[0].train_seconds, first.history[0].train_seconds);
    EXPECT_DOUBLE_EQ(rest.train_seconds, rest.history[0].train_seconds + rest.history[1].train_seconds);
    const auto own = std::accumulate(rest.times.step_ns.begin(), rest.times.step_ns.end(), int64_t{0});
    const auto before = std::accumulate(first.times.step_ns.begin() + 7, first.times.step_ns.end(), int64_t{0});
    EXPECT_GE(rest.history[1].train_seconds, static_cast<double>(own + before) * 1e-9);
    EXPECT_GE(rest.earlier_seconds, first.train_seconds);
    EXPECT_GE(rest.total_seconds, rest.earlier_seconds + rest.history[1].val_seconds);
}

// A stop that is asked for while the last epoch is validated is kept, and only testing is left.
TEST(Resume, AfterTheLastEpoch) {
    const Config config = small_run();
    const TrainResult whole = run_on(1, config);
    for (const int ranks : {1, 2}) {
        const CheckpointFolder folder;
        EXPECT_TRUE(go_on(ranks, config, folder.path, 15).interrupted);  // 14 steps, then the last epoch's end
        const TrainResult rest = go_on(1, config, folder.path, -1);
        EXPECT_EQ(rest.resumed_at, 14u);
        EXPECT_TRUE(rest.times.step_ns.empty());
        EXPECT_EQ(rest.final_weights_hash, whole.final_weights_hash);
        EXPECT_EQ(rest.test.loss, whole.test.loss);
        EXPECT_EQ(rest.history.size(), 2u);
    }
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

TEST(Resume, GoesFromReplicatedToShardedAndBack) {
    const Config config = small_run();
    const TrainResult whole = run_on(1, config);
    const CheckpointFolder folder;
    EXPECT_TRUE(go_on(2, config, folder.path, 4, 0).interrupted);
    EXPECT_TRUE(go_on(3, config, folder.path, 4, 1).interrupted);
    EXPECT_TRUE(go_on(4, config, folder.path, 2, 1).interrupted);
    EXPECT_EQ(go_on(1, config, folder.path, -1, 0).final_weights_hash, whole.final_weights_hash);
}

TEST(Resume, KeepsTheNewestAndSurvivesABrokenOne) {
    Config config = small_run();
    config.train.checkpoint_steps = 2;
    config.train.checkpoint_keep = 3;
    const CheckpointFolder folder;
    const TrainResult whole = go_on(1, config, folder.path, -1);
    std::vector<std::string> left;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path))
        if (entry.is_directory()) left.push_back(entry.path().filename().string());
    std::sort(left.begin(), left.end());
    EXPECT_EQ(left, (std::vector<std::string>{"step-00000010", "step-00000012", "step-00000014"}));
    std::filesystem::remove(folder.path / "step-00000014" / "manifest.json");  // killed while it was written
    std::filesystem::resize_file(folder.path / "step-00000012" / "optimizer.safetensors", 100);
    const TrainResult rest = go_on(2, config, folder.path, -1);
    EXPECT_EQ(rest.resumed_at, 10u);
    EXPECT_EQ(rest.final_weights_hash, whole.final_weights_hash);
}

TEST(Resume, AnotherRunIsRefused) {
    Config config = small_run();
    const CheckpointFolder folder;
    go_on(1, config, folder.path, 2);
    config.train.epochs = 3;  // may change
    EXPECT_TRUE(go_on(1, config, folder.path, 2).interrupted);
    config.train.learning_rate = 0.5;
    try {
        go_on(1, config, folder.path, -1);
        FAIL();
    } catch (const UsageError& error) {
        EXPECT_NE(std::string(error.what()).find("/train/learning_rate: 0.01 then, 0.5 now"), std::string::npos)
            << error.what();
    }
}

TEST(Trainer, ALossThatIsNotANumberStopsTheRun) {
    Config config = small_run();
    config.train.learning_rate = 1e30;
    try {
        run_on(2, config);
        FAIL();
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("training step"), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("on rank"), std::string::npos) << error.what();
    }
}

TEST(Health, NamesTensorStepAndRank) {
    ModelConfig model;
    model.name = "pneumonia_cnn";
    const Graph graph = build_model(model);
    ModelState state(graph);
    state.initialize(1);
    EXPECT_NO_THROW(check_finite(state, 7, 2));
    const ValueId id = graph.parameters[2];
    state.gradients.as<float>()[state.flat.find(id).begin + 3] = std::numeric_limits<float>::infinity();
    try {
        check_finite(state, 7, 2);
        FAIL();
    } catch (const Error& error) {
        const std::string expected = "training step 7: the gradient of " + graph.value(id).name + "[3] is inf on rank 2";
        EXPECT_EQ(std::string(error.what()).substr(0, expected.size()), expected);
    }
}

TEST(Health, ReplicasThatDifferAreNamed) {
    std::vector<std::string> said(3);
    on_ranks(3, [&](Communicator& communicator) {
        ModelConfig model;
        model.name = "pneumonia_cnn";
        const Graph graph = build_model(model);
        ModelState state(graph);
        state.initialize(1);
        check_replicas(state, 100, communicator);
        if (communicator.rank() == 2) state.parameters.as<float>()[5] += 1;
        try {
            check_replicas(state, 200, communicator);
        } catch (const Error& error) {
            said[static_cast<size_t>(communicator.rank())] = error.what();
        }
    });
    for (const std::string& line : said)
        EXPECT_EQ(line.find("after training step 200: rank 2 no longer has rank 0's weights"), 0u) << line;
}

}  // namespace
}  // namespace xbench::test
