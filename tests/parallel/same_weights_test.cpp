// The same weights, bit for bit, however a training is spread over ranks and threads (threads here;
// tests/parallel/mpi_ranks.cpp does the same over MPI), and what an order of addition may change.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/datasets.h"
#include "parallel/checkpoint/checkpoint.h"
#include "tests/parallel/run_on.h"
#include "tests/parallel/temporary_folder.h"

namespace xbench::test {
namespace {

TEST(SameWeights, AtAnyNumberOfRanksAndThreads) {
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

TEST(SameWeights, WithDropoutAtAnyNumberOfRanks) {
    Config config = small_run();
    config.model.name = "fracture_cnn";
    config.data.synthetic.size = 32;
    const TrainResult one = run_on(1, config);
    EXPECT_EQ(run_on(4, config).final_weights_hash, one.final_weights_hash);
    config.train.seed = 2;
    EXPECT_NE(run_on(1, config).final_weights_hash, one.final_weights_hash);
}

TEST(SameWeights, WhenTheOptimizerIsSharded) {
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

TEST(SameWeights, InBf16AtAnyNumberOfRanksAndThreads) {
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

TEST(SameWeights, WhereVirtualRanksAreNoPowerOfTwo) {
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

}  // namespace
}  // namespace xbench::test
