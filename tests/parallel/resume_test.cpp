// Interrupted and resumed runs: the weights of a run that nobody interrupted, on other ranks, in another stage, from damaged
// checkpoints.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "data/datasets.h"
#include "tests/parallel/run_on.h"

namespace xbench::test {
namespace {

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

}  // namespace
}  // namespace xbench::test
