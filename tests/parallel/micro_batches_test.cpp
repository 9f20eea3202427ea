// Gradient accumulation and batch normalisation over each virtual rank: the same weights at any number of ranks and passes.
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/registry.h"
#include "parallel/train/learning_rate.h"
#include "parallel/train/micro_batches.h"
#include "tests/parallel/run_on.h"

namespace xbench::test {
namespace {

Config without_batchnorm() {
    Config config = small_run();
    config.model.name = "rsna_cnn";
    config.data.synthetic.size = 32;
    config.data.synthetic.count = 100;  // 70 to train on: the last batch has 6 images, and empty leaves
    config.train.epochs = 1;
    return config;
}

TEST(MicroBatches, PassesEndAsTheBlocksOfTheRank) {
    const auto self = make_self_communicator();
    ModelConfig model;
    model.name = "rsna_cnn";
    const Graph graph = build_model(model);
    TrainConfig config;
    for (const int64_t leaves : {1, 5, 8, 11})
        for (const int64_t accumulate : {2, 3, 8}) {
            config.accumulate = accumulate;
            const RankSums sums(*self, Reduction::invariant, leaves);
            config.virtual_ranks = leaves;
            const PassPlan plan = plan_passes(config, graph, 0, 1);
            int32_t next = 0;
            std::vector<int> leaves_in_slot(static_cast<size_t>(plan.slots));
            for (const Pass& pass : plan.passes) {
                EXPECT_EQ(pass.first_leaf, next);
                next += pass.leaves;
                leaves_in_slot[static_cast<size_t>(pass.slot)] = pass.leaves;
                for (int k = 0; k < pass.merges; ++k) {
                    const auto slot = static_cast<size_t>(pass.slot - k);
                    EXPECT_EQ(leaves_in_slot[slot - 1], leaves_in_slot[slot]) << "only equals are added";
                    leaves_in_slot[slot - 1] += leaves_in_slot[slot];
                }
            }
            EXPECT_EQ(next, leaves);
            for (int block = 0; block < sums.blocks(); ++block)
                EXPECT_EQ(leaves_in_slot[static_cast<size_t>(block)], sums.leaves_of_block[static_cast<size_t>(block)]);
        }
}

TEST(MicroBatches, AccumulatingChangesNoBitAndSavesMemory) {
    Config config = without_batchnorm();
    const TrainResult whole = run_on(1, config);
    for (const int64_t passes : {2, 4, 8}) {
        config.train.accumulate = passes;
        for (const int ranks : {1, 2, 3}) {
            const TrainResult parts = run_on(ranks, config);
            EXPECT_EQ(parts.final_weights_hash, whole.final_weights_hash) << passes << " passes, " << ranks << " ranks";
            EXPECT_EQ(parts.history[0].train_loss, whole.history[0].train_loss);
            if (ranks == 1) {
                EXPECT_LT(static_cast<double>(parts.activation_bytes),
                          1.1 * static_cast<double>(whole.activation_bytes) / static_cast<double>(passes));
            }
        }
    }
    EXPECT_EQ(run_on(2, config, 2).final_weights_hash, whole.final_weights_hash) << "two threads";
    EXPECT_EQ(run_on(2, config, 1, 1).final_weights_hash, whole.final_weights_hash) << "sharded";
}

// 3 ranks have unequal shares of 8 leaves: one ends passes that only the others compute. The last batch's empty leaves are
// passes without images.
TEST(MicroBatches, PassesOfShardedRanks) {
    Config config = without_batchnorm();
    const std::string whole = run_on(1, config).final_weights_hash;
    config.train.accumulate = 2;
    for (const char* overlap : {"inline", "thread"})
        for (const int ranks : {2, 3})
            for (const int stage : {1, 2, 3})
                for (const bool checkpointing : {false, true}) {
                    SCOPED_TRACE(testing::Message()
                                 << ranks << " ranks, stage " << stage << ", " << overlap << checkpointing);
                    config.train.overlap = overlap;
                    config.train.activation_checkpointing = checkpointing;
                    const TrainResult sharded = run_on(ranks, config, 1, stage);
                    EXPECT_EQ(sharded.final_weights_hash, whole);
                    EXPECT_EQ(sharded.overlap, overlap);
                    EXPECT_EQ(sharded.memory_in_steps.bytes, sharded.memory_predicted.bytes);
                    EXPECT_GT(sharded.gradient_bytes, 0u);
                }
}

TEST(MicroBatches, AccumulatingIsRefusedWithGlobalBatchNormalisation) {
    Config config = small_run();
    config.train.accumulate = 2;
    try {
        run_on(1, config);
        FAIL();
    } catch (const UsageError& error) {
        EXPECT_NE(std::string(error.what()).find("/train/accumulate"), std::string::npos) << error.what();
    }
    config.train.batchnorm = "local";
    EXPECT_NO_THROW(run_on(1, config));
}

TEST(MicroBatches, AccumulatingWithTheFastReduction) {
    Config config = without_batchnorm();
    const TrainResult exact = run_on(1, config);
    config.train.reduction = "fast";
    config.train.accumulate = 3;
    const TrainResult fast = run_on(2, config);
    EXPECT_NEAR(fast.history[0].train_loss, exact.history[0].train_loss, 1e-3);
}

// pneumonia_cnn, with a last batch of 9 images, and one of 3: most leaves are empty.
TEST(LocalBatchNorm, SameWeightsAtAnyNumberOfRanks) {
    Config config = small_run();
    config.train.batchnorm = "local";
    config.train.epochs = 1;
    config.train.check_steps = 1;  // the replicas' running statistics too
    for (const int64_t images : {150, 142}) {
        SCOPED_TRACE(images);
        config.data.synthetic.count = images;
        const TrainResult one = run_on(1, config);
        for (const int ranks : {2, 3, 4, 8}) {
            const TrainResult many = run_on(ranks, config);
            EXPECT_EQ(many.final_weights_hash, one.final_weights_hash) << ranks << " ranks";
            EXPECT_EQ(many.test.loss, one.test.loss) << ranks << " ranks";
            EXPECT_EQ(many.history[0].train_loss, one.history[0].train_loss);
        }
        EXPECT_EQ(run_on(2, config, 2).final_weights_hash, one.final_weights_hash);
        for (const int stage : {1, 2, 3})
            for (const int ranks : {2, 3}) {
                const TrainResult sharded = run_on(ranks, config, 1, stage);
                EXPECT_EQ(sharded.final_weights_hash, one.final_weights_hash) << ranks << " ranks, stage " << stage;
                EXPECT_EQ(sharded.memory_in_steps.bytes, sharded.memory_predicted.bytes);
            }
    }
}

TEST(LocalBatchNorm, OneVirtualRankIsTheWholeBatch) {
    Config config = small_run();
    config.train.epochs = 1;
    const TrainResult eight = run_on(1, config);
    config.train.virtual_ranks = 1;
    const TrainResult global = run_on(1, config);
    config.train.batchnorm = "local";
    const TrainResult local = run_on(1, config);
    EXPECT_EQ(local.final_weights_hash, global.final_weights_hash);
    config.train.virtual_ranks = 8;
    EXPECT_NE(run_on(1, config).final_weights_hash, eight.final_weights_hash);
}

// A virtual rank's images are the same at any number of passes, and the weights too.
TEST(LocalBatchNorm, AccumulatingWithTheFastReductionChangesNoGroup) {
    Config config = small_run();
    config.train.batchnorm = "local";
    config.train.epochs = 1;
    const TrainResult invariant = run_on(1, config);
    config.train.reduction = "fast";
    for (const int ranks : {1, 2}) {
        const TrainResult once = run_on(ranks, config);
        EXPECT_NEAR(once.history[0].train_loss, invariant.history[0].train_loss, 1e-4) << "the groups are virtual ranks";
        for (const int64_t passes : {2, 4, 8}) {
            config.train.accumulate = passes;
            EXPECT_EQ(run_on(ranks, config).final_weights_hash, once.final_weights_hash) << ranks << " ranks, " << passes;
        }
        config.train.accumulate = 1;
    }
}

TEST(LocalBatchNorm, Learns) {
    Config config = small_run();
    config.train.batchnorm = "local";
    config.train.epochs = 12;
    const TrainResult result = run_on(2, config);
    EXPECT_LT(result.history.back().train_loss, 0.8 * result.history.front().train_loss);
    EXPECT_GT(result.val.accuracy, result.val.majority_baseline);  // its running statistics are usable
}

TEST(LearningRate, IsScaledAndWarmedUpAsTold) {
    TrainConfig config;
    config.learning_rate = 0.1;
    config.batch_size = 256;
    EXPECT_EQ(learning_rate_at(config, 0), 0.1);
    config.base_batch = 64;
    EXPECT_EQ(scaled_learning_rate(config), 0.1) << "none is the default";
    config.lr_scaling = "linear";
    EXPECT_DOUBLE_EQ(scaled_learning_rate(config), 0.4);
    config.lr_scaling = "sqrt";
    EXPECT_DOUBLE_EQ(scaled_learning_rate(config), 0.2);
    config.warmup_steps = 4;
    const double expected[] = {0.05, 0.1, 0.15, 0.2, 0.2};
    for (int64_t step = 0; step < 5; ++step) EXPECT_DOUBLE_EQ(learning_rate_at(config, step), expected[step]);
}

TEST(LearningRate, OfARunStandsInItsHistory) {
    Config config = small_run();  // 7 batches an epoch
    config.train.lr_scaling = "linear";
    config.train.base_batch = 8;
    config.train.warmup_steps = 10;
    const TrainResult result = run_on(1, config);
    EXPECT_DOUBLE_EQ(result.history[0].learning_rate, 0.7 * 0.02);
    EXPECT_DOUBLE_EQ(result.history[1].learning_rate, 0.02);
}

}  // namespace
}  // namespace xbench::test
