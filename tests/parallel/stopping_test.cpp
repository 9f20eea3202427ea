// Where a training ends, what it restores, where it pauses, and in what order its images come.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "data/load/loader.h"
#include "parallel/checkpoint/checkpoint.h"
#include "tests/parallel/feature_runs.h"
#include "tests/parallel/temporary_folder.h"

namespace xbench::test {
namespace {

// Batches that end where chunks do, in one order: the same training with and without chunks.
TEST(Chunking, TheSameOrderIsTheSameTraining) {
    Feature whole{"", [](TrainConfig&) {}};
    Feature chunked{"", [](TrainConfig& t) { t.chunk_images = 32; }};  // two batches of 16 each
    const TrainResult one = run_feature(whole, 1, 0), other = run_feature(chunked, 2, 0);
    EXPECT_EQ(other.final_weights_hash, one.final_weights_hash);
    EXPECT_EQ(other.history[1].train_loss, one.history[1].train_loss);
    EXPECT_GT(other.history[1].chunk_loss, 0);
}

TEST(Chunking, EveryImageOnceAndEveryPartitionInEveryBatch) {
    std::vector<int64_t> order(100);
    for (int64_t i = 0; i < 100; ++i) order[static_cast<size_t>(i)] = i * 7 % 100;
    EXPECT_EQ(chunked_order(order, 30, 1, 8), order);
    EXPECT_EQ(batch_bounds(100, 30, 8), (std::vector<int64_t>{0, 8, 16, 24, 30, 38, 46, 54, 60, 68, 76, 84, 90, 98, 100}));
    EXPECT_EQ(batch_bounds(20, 0, 8), (std::vector<int64_t>{0, 8, 16, 20}));
    for (const int64_t partitions : {2, 3, 6}) {
        const std::vector<int64_t> result = chunked_order(order, 30, partitions, 6);
        EXPECT_EQ(std::set<int64_t>(result.begin(), result.end()).size(), 100u);
        const std::vector<int64_t> bounds = batch_bounds(100, 30, 6);
        for (size_t batch = 0; batch + 1 < bounds.size(); ++batch) {
            const int64_t chunk = bounds[batch] / 30, size = std::min<int64_t>(30, 100 - 30 * chunk);
            std::set<int64_t> seen;
            for (int64_t i = bounds[batch]; i < bounds[batch + 1]; ++i) {
                const auto at = std::find(order.begin(), order.end(), result[static_cast<size_t>(i)]) - order.begin();
                EXPECT_EQ(at / 30, chunk);
                for (int64_t p = 0; p < partitions; ++p)
                    if (at - 30 * chunk >= p * size / partitions && at - 30 * chunk < (p + 1) * size / partitions)
                        seen.insert(p);
            }
            if (size < 30) continue;
            EXPECT_EQ(static_cast<int64_t>(seen.size()), partitions) << "batch " << batch;
        }
    }
}

TEST(EarlyStopping, RestoresTheBestEpochAlsoWhereEpochsRunOut) {
    Feature feature{
        "", [](TrainConfig& t) { t.early_stopping = "keras", t.patience = 50, t.epochs = 4, t.monitor = "val_loss"; }};
    const TemporaryFolder folder;
    TrainOptions options;
    options.checkpoint_dir = folder.path();
    const TrainResult result = run_feature(feature, 1, 0, options);
    ASSERT_EQ(result.history.size(), 4u);
    size_t best = 0;
    for (size_t i = 1; i < 4; ++i)
        if (result.history[i].val_loss < result.history[best].val_loss) best = i;
    EXPECT_EQ(result.best_epoch, static_cast<int64_t>(best) + 1);
    EXPECT_EQ(result.val.loss, result.history[best].val_loss);
    EXPECT_EQ(weights_hash(load_weights(folder.path() / "best.safetensors")), result.weights_hash);
}

TEST(EarlyStopping, EndsOnAllRanksAndIsKeptByCheckpoints) {
    Feature feature{"", [](TrainConfig& t) {
                        t.early_stopping = "keras", t.patience = 2, t.min_delta = 100, t.epochs = 9, t.monitor = "val_loss";
                    }};
    const TrainResult one = run_feature(feature, 1, 0);
    EXPECT_EQ(one.history.size(), 3u) << "the first epoch is the best, then two without improvement";
    EXPECT_EQ(one.best_epoch, 1);
    EXPECT_EQ(run_feature(feature, 3, 0).history.size(), 3u);
    const TemporaryFolder folder;
    TrainOptions options;
    options.checkpoint_dir = folder.path();
    options.resume = true;
    int asked = 0;
    options.stop = [&] { return ++asked == 16; };  // in the third epoch
    EXPECT_TRUE(run_feature(feature, 2, 0, options).interrupted);
    options.stop = nullptr;
    const TrainResult rest = run_feature(feature, 1, 0, options);
    EXPECT_EQ(rest.history.size(), 3u);
    EXPECT_EQ(rest.final_weights_hash, one.final_weights_hash);
    EXPECT_EQ(rest.weights_hash, one.weights_hash);
}

TEST(EarlyStopping, EpochsBeforeTheFirstThatCountsAreNotRestored) {
    Feature feature{"", [](TrainConfig& t) {
                        t.early_stopping = "keras", t.epochs = 4, t.monitor = "val_loss", t.start_from_epoch = 3;
                        t.min_delta = 100;
                    }};
    const TrainResult late = run_feature(feature, 1, 0);
    EXPECT_EQ(late.best_epoch, 4);
    EXPECT_EQ(late.weights_hash, late.final_weights_hash);
    EXPECT_EQ(run_feature(feature, 2, 0).weights_hash, late.weights_hash);
    feature.change = [](TrainConfig& t) { t.early_stopping = "keras", t.epochs = 3, t.start_from_epoch = 9; };
    const TrainResult never = run_feature(feature, 1, 0);
    EXPECT_EQ(never.best_epoch, 3) << "none counts: the last weights stay";
    EXPECT_EQ(never.weights_hash, never.final_weights_hash);
}

TEST(EarlyStopping, TheWaitGoesOnUntilTheBaselineIsBeaten) {
    Feature feature{"", [](TrainConfig& t) {
                        t.early_stopping = "keras", t.patience = 2, t.baseline = 0, t.epochs = 9, t.monitor = "val_loss";
                        t.min_delta = 100;
                    }};
    EXPECT_EQ(run_feature(feature, 1, 0).history.size(), 2u) << "without a baseline it would be 3";
}

TEST(EarlyStopping, TheLastEpochsWeightsWhereTheBestAreNotRestored) {
    Feature feature{"", [](TrainConfig& t) {
                        t.early_stopping = "keras", t.patience = 1, t.min_delta = 100, t.restore_best = false, t.epochs = 5;
                    }};
    const TrainResult result = run_feature(feature, 1, 0);
    EXPECT_EQ(result.history.size(), 2u);
    EXPECT_EQ(result.best_epoch, 1);
    EXPECT_EQ(result.weights_hash, result.final_weights_hash);
    EXPECT_EQ(result.val.loss, result.history[1].val_loss);
}

TEST(Pausing, GoesOnAsIfNothingHadBeen) {
    const Feature feature{"", [](TrainConfig& t) { t.lr_schedule = "cosine", t.epochs = 4; }};
    const TrainResult whole = run_feature(feature, 1, 0);
    const TemporaryFolder folder;
    TrainOptions options;
    options.checkpoint_dir = folder.path();
    options.resume = true;
    for (const int64_t epoch : {1, 3}) {
        options.pause_after_epoch = epoch;
        const TrainResult part = run_feature(feature, 1, 0, options);
        EXPECT_TRUE(part.interrupted);
        EXPECT_EQ(static_cast<int64_t>(part.history.size()), epoch);
    }
    options.pause_after_epoch = 0;
    options.test = false;
    const TrainResult rest = run_feature(feature, 1, 0, options);
    EXPECT_EQ(rest.final_weights_hash, whole.final_weights_hash);
    EXPECT_EQ(rest.test.count, 0);
}

}  // namespace
}  // namespace xbench::test
