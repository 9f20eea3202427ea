// One process against several ranks (threads here; tests/parallel/mpi_ranks.cpp does the same over MPI).
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "core/error.h"
#include "core/rng.h"
#include "data/memory_dataset.h"
#include "models/registry.h"
#include "parallel/checkpoint.h"
#include "parallel/inference.h"
#include "tests/parallel/small_run.h"
#include "tests/parallel/thread_communicator.h"

namespace xbench::test {
namespace {

TrainResult run_on(int ranks, const Config& config, int threads = 1) {
    const auto dataset = open_dataset(config.data);
    TrainResult result;
    TrainOptions options;
    options.threads = threads;
    on_ranks(ranks, [&](Communicator& communicator) {
        TrainResult mine = train(config, *dataset, communicator, options);
        if (communicator.rank() == 0) result = std::move(mine);
    });
    return result;
}

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

// The rounding of bf16 must not show in what is learned.
TEST(Trainer, Bf16LearnsAsWellAsFp32) {
    Config config = small_run();
    config.data.synthetic.count = 400;
    config.train.epochs = 12;
    const TrainResult fp32 = run_on(1, config);
    config.train.precision = "bf16";
    const TrainResult bf16 = run_on(1, config);
    EXPECT_NEAR(bf16.history.back().train_loss, fp32.history.back().train_loss, 0.1 * fp32.history.front().train_loss);
    EXPECT_GT(bf16.test.accuracy, fp32.test.accuracy - 0.06);
    EXPECT_LT(bf16.history.back().train_loss, 0.8 * bf16.history.front().train_loss);
}

TEST(Trainer, OtherVirtualRanksAreAnotherOrderOfAddition) {
    Config config = small_run();
    const auto eight = run_on(1, config).final_weights_hash;
    config.train.virtual_ranks = 4;
    EXPECT_NE(run_on(1, config).final_weights_hash, eight);
}

TEST(Trainer, EveryImageIsCountedOnce) {
    const Config config = small_run();
    const TrainResult result = run_on(2, config);
    const auto dataset = open_dataset(config.data);
    EXPECT_EQ(result.history[0].images, static_cast<int64_t>(dataset->indices(Split::train).size()));
    EXPECT_EQ(result.val.count, static_cast<int64_t>(dataset->indices(Split::val).size()));
    EXPECT_EQ(result.test.count, static_cast<int64_t>(dataset->indices(Split::test).size()));
    EXPECT_EQ(result.step_ns.size(), result.step_images.size());
    EXPECT_EQ(result.step_ns.size(), 2u * 7u);
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
    const Predictions predictions = predict(build_model(about.model), best, *dataset, indices, 1, about.mean, about.std);
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
TrainResult go_on(int ranks, const Config& config, const std::filesystem::path& folder, int stop_after) {
    const auto dataset = open_dataset(config.data);
    TrainResult result;
    on_ranks(ranks, [&](Communicator& communicator) {
        TrainOptions options;
        options.checkpoint_dir = folder;
        options.resume = true;
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
        EXPECT_NE(std::string(error.what()).find("/train/learning_rate: 0.01 in the checkpoint, 0.5 now"), std::string::npos)
            << error.what();
    }
}

TEST(Trainer, ALossThatIsNotANumberStopsTheRun) {
    Config config = small_run();
    config.train.learning_rate = 1e30;
    EXPECT_THROW(run_on(1, config), Error);
}

}  // namespace
}  // namespace xbench::test
