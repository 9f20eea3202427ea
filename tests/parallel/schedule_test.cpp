// Learning-rate schedules and early stopping as functions: the values of PyTorch and Keras, and faults that other
// implementations have had.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "parallel/train/early_stopping.h"
#include "parallel/train/epoch_losses.h"
#include "parallel/train/learning_rate.h"

namespace xbench::test {
namespace {

TrainConfig half(const std::string& schedule, int64_t epochs) {
    TrainConfig config;
    config.learning_rate = 0.5;
    config.lr_schedule = schedule;
    config.epochs = epochs;
    return config;
}

void expect_rates(const TrainConfig& config, const std::vector<double>& by_epoch, int64_t batches = 3) {
    for (size_t epoch = 0; epoch < by_epoch.size(); ++epoch)
        for (int64_t batch = 0; batch < batches; ++batch)
            EXPECT_NEAR(learning_rate_at(config, static_cast<int64_t>(epoch) * batches + batch, {batches, 0}),
                        by_epoch[epoch], 5e-9)
                << "epoch " << epoch << ", batch " << batch;
}

std::vector<EpochResult> losses(const std::vector<double>& values) {
    std::vector<EpochResult> history;
    for (const double value : values) {
        history.push_back({});
        history.back().epoch = static_cast<int64_t>(history.size());
        history.back().val_loss = history.back().train_loss = value;
        history.back().val_accuracy = 1 - value;
    }
    return history;
}

TEST(Schedule, CosineOfFiveEpochsEndsAtZero) {
    TrainConfig config = half("cosine", 5);
    const std::vector<double> expected{0.5, 0.45225425, 0.32725425, 0.17274575, 0.04774575, 0};
    expect_rates(config, expected);
    config.epochs = 9;  // it stays there
    config.lr_t_max = 5;
    expect_rates(config, {0.5, 0.45225425, 0.32725425, 0.17274575, 0.04774575, 0, 0, 0});
    config.lr_min = 0.1;
    expect_rates(
        config, {0.5, 0.1 + 0.4 * 0.9045085, 0.1 + 0.4 * 0.6545085, 0.1 + 0.4 * 0.3454915, 0.1 + 0.4 * 0.0954915, 0.1, 0.1});
}

// Keras' CosineDecay counts steps, behind the warm-up.
TEST(Schedule, CosineByStepsBehindAWarmUp) {
    TrainConfig config = half("cosine", 4);
    config.lr_interval = "step";
    config.warmup_steps = 3;  // of 8 steps: 5 are left
    const std::vector<double> expected{0.5 / 3, 1.0 / 3, 0.5, 0.5, 0.45225425, 0.32725425, 0.17274575, 0.04774575};
    for (size_t step = 0; step < expected.size(); ++step)
        EXPECT_NEAR(learning_rate_at(config, static_cast<int64_t>(step), {2, 0}), expected[step], 5e-9) << step;
}

TEST(Schedule, AnEpochInWhichTheWarmUpEndsBelongsToIt) {
    TrainConfig config = half("step", 9);
    config.lr_step_size = 1;
    config.warmup_steps = 4;  // of 3 steps an epoch
    for (const auto& [step, expected] : std::vector<std::pair<int64_t, double>>{
             {0, 0.125}, {2, 0.375}, {3, 0.5}, {5, 0.5}, {6, 0.5}, {8, 0.5}, {9, 0.05}, {12, 0.005}})
        EXPECT_NEAR(learning_rate_at(config, step, {3, 0}), expected, 1e-12) << step;
}

TEST(Schedule, Step) {
    TrainConfig config = half("step", 7);
    config.lr_step_size = 3;
    expect_rates(config, {0.5, 0.5, 0.5, 0.05, 0.05, 0.05, 0.005});
}

// Reduces on the epoch behind the patience, not on its last one.
TEST(Schedule, PlateauOfAConstantMetric) {
    TrainConfig config = half("plateau", 9);
    config.lr_patience = 2;
    const std::vector<double> expected{0.5, 0.5, 0.5, 0.5, 0.05, 0.05, 0.05, 0.005};
    std::vector<EpochResult> history;
    for (const double rate : expected) {
        EXPECT_NEAR(learning_rate_at(config, 0, {1, plateau_reductions(config, history)}), rate, 1e-12) << history.size();
        history = losses(std::vector<double>(history.size() + 1, 0.7));
    }
    config.lr_cooldown = 2;  // two more epochs count for nothing
    EXPECT_EQ(plateau_reductions(config, losses(std::vector<double>(8, 0.7))), 1);
    EXPECT_EQ(plateau_reductions(config, losses(std::vector<double>(9, 0.7))), 2);
    config.lr_min = 0.2;
    EXPECT_EQ(learning_rate_at(config, 0, {1, 1}), 0.2);
}

TEST(Schedule, PlateauCountsOnlyWhatExceedsTheThreshold) {
    TrainConfig config = half("plateau", 9);
    config.lr_patience = 0;
    EXPECT_EQ(plateau_reductions(config, losses({1, 0.99995})), 1) << "less than 1e-4 of the best";
    EXPECT_EQ(plateau_reductions(config, losses({1, 0.9998})), 0);
    config.lr_threshold_mode = "abs";
    config.lr_threshold = 0.1;
    EXPECT_EQ(plateau_reductions(config, losses({1, 0.95})), 1);
    EXPECT_EQ(plateau_reductions(config, losses({1, 0.85})), 0);
    config.lr_monitor = "val_accuracy";
    EXPECT_EQ(plateau_reductions(config, losses({0.9, 0.7})), 0);
    EXPECT_EQ(plateau_reductions(config, losses({0.9, 0.85})), 1);
    EXPECT_EQ(plateau_reductions(config, losses({std::nan(""), std::nan("")})), 2);
}

TrainConfig keras(int64_t patience, double min_delta = 0) {
    TrainConfig config;
    config.early_stopping = "keras";
    config.monitor = "val_loss";
    config.patience = patience;
    config.min_delta = min_delta;
    return config;
}

TEST(EarlyStopping, WaitsForPatienceEpochs) {
    const TrainConfig config = keras(2);
    EXPECT_FALSE(early_stopping(config, losses({3, 2, 2})).stop);
    const EarlyStopping stopped = early_stopping(config, losses({3, 2, 2, 2.5}));
    EXPECT_TRUE(stopped.stop);
    EXPECT_EQ(stopped.best_epoch, 2);
    EXPECT_EQ(stopped.wait, 2);
    EXPECT_FALSE(early_stopping(config, losses({3, 2, 2.5, 1.9, 2})).stop);
    EXPECT_FALSE(early_stopping(keras(0), losses({1, 2, 3, 4})).stop) << "0: never";
}

TEST(EarlyStopping, AnImprovementExceedsMinDelta) {
    EXPECT_TRUE(early_stopping(keras(1, 0.1), losses({1, 0.95})).stop);
    EXPECT_TRUE(early_stopping(keras(1, 0.25), losses({1, 0.75})).stop) << "as much is none";
    EXPECT_FALSE(early_stopping(keras(1, 0.1), losses({1, 0.85})).stop);
    TrainConfig accuracy = keras(1, 0.1);
    accuracy.monitor = "val_accuracy";
    EXPECT_FALSE(early_stopping(accuracy, losses({1, 0.85})).stop);
    EXPECT_TRUE(early_stopping(accuracy, losses({1, 0.95})).stop);
}

TEST(EarlyStopping, NeverImprovingIsNoFault) {
    const double nan = std::nan("");
    const EarlyStopping state = early_stopping(keras(3), losses({nan, nan, nan}));
    EXPECT_TRUE(state.stop);
    EXPECT_EQ(state.best_epoch, 1);
    EXPECT_FALSE(early_stopping(keras(1), losses({nan})).stop) << "not after the first epoch";
}

TEST(EarlyStopping, FirstRise) {
    TrainConfig config = keras(0);
    config.early_stopping = "first_rise";
    config.monitor = "val_accuracy";  // it looks at val_loss
    EXPECT_FALSE(early_stopping(config, losses({3, 2, 1})).stop);
    const EarlyStopping stopped = early_stopping(config, losses({3, 2, 2.1}));
    EXPECT_TRUE(stopped.stop);
    EXPECT_EQ(stopped.best_epoch, 2);
}

TEST(Chunks, TheMeanOfTheirLosses) {
    // Chunks of 4 images in batches of 3: 3 1 | 3 1 | 2.
    EXPECT_DOUBLE_EQ(mean_of_chunks({3, 1, 9, 3, 8}, {0, 3, 4, 7, 8, 10}, 4), (4.0 / 4 + 12.0 / 4 + 8.0 / 2) / 3);
}

}  // namespace
}  // namespace xbench::test
