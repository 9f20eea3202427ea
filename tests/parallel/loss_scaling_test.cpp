// Training with products in fp16 and dynamic loss scaling: an overflow anywhere skips one update on every rank and halves
// the scale, whatever the ranks and stages; its state goes through checkpoints; and it ends close to fp32. On GPUs, under
// CTest on emulated ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "core/error.h"
#include "kernels/cuda/devices.h"
#include "models/registry.h"
#include "parallel/train/inference.h"
#include "tests/parallel/rank_steps.h"
#include "tests/parallel/temporary_folder.h"
#include "tests/parallel/training_ways.h"

namespace xbench::test {
namespace {

const DeviceOfRank gpus = [](int rank) { return make_cuda_device(rank); };

void in_fp16(Config& config) {
    config.data.synthetic.count = 60;
    config.train.precision = "fp16";
    config.train.epochs = 3;
}

void clip_and_average(Config& config) {
    in_fp16(config);
    config.train.clip_norm = 0.05, config.train.ema_decay = 0.9;
}

class GpuLossScaling : public testing::TestWithParam<Way> {
protected:
    void SetUp() override {
        setenv("XBENCH_EMULATED_GPUS", "3", 0);
        setenv("XBENCH_NO_NCCL", "1", 0);
        const GpuSystem system = query_gpus();
        if (!system.why_not.empty()) GTEST_SKIP() << system.why_not;
        gpus_ = static_cast<int>(system.gpus.size());
    }
    int gpus_ = 0;
};
using GpuLossScalingAlone = GpuLossScaling;

// A set of which one training image has the class whose weight makes its gradient overflow: one step an epoch.
constexpr size_t loud_image = 29;
MemoryDataset set_with_a_loud_image() {
    SetShape shape;
    shape.multilabel = true;
    ImageSet set = random_set(shape);
    const auto classes = static_cast<size_t>(shape.classes);
    for (size_t image = 0; image < set.records.targets.size() / classes; ++image)
        set.records.targets[image * classes] = image == loud_image;
    return MemoryDataset(std::move(set));
}

Config loud_config(const Way& way) {
    Config config = config_of(way);
    config.train.pos_weight = {1e6, 1, 1};
    config.train.learning_rate = 1e-4;
    return config;
}

// Rank 0's result; every rank must have the same scale and skip as often.
TrainResult train_loud(const Way& way, TrainOptions options = {}) {
    const Config config = loud_config(way);
    const MemoryDataset dataset = set_with_a_loud_image();
    TrainResult result;
    std::vector<std::vector<EpochResult>> histories(static_cast<size_t>(way.ranks));
    options.stage = way.stage;
    ThreadTeam team(nodes_of(way));
    on_ranks(team, [&](Communicator& communicator) {
        TrainOptions mine = options;
        const auto device = gpus(communicator.rank());
        mine.device = device.get();
        if (options.stop && communicator.rank() > 0) mine.stop = [] { return false; };
        TrainResult trained = train(config, dataset, communicator, mine);
        histories[static_cast<size_t>(communicator.rank())] = trained.history;
        if (communicator.rank() == 0) result = std::move(trained);
    });
    for (const auto& history : histories)
        for (size_t epoch = 0; epoch < history.size(); ++epoch) {
            EXPECT_EQ(history[epoch].loss_scale, result.history[epoch].loss_scale);
            EXPECT_EQ(history[epoch].skipped_updates, result.history[epoch].skipped_updates);
            EXPECT_EQ(history[epoch].gradient_norm, result.history[epoch].gradient_norm);
            EXPECT_TRUE(std::isfinite(history[epoch].gradient_norm));
        }
    return result;
}

TEST_P(GpuLossScaling, AnOverflowOnOneRankSkipsOneUpdateOnAll) {
    const Way& way = GetParam();
    if (way.ranks > gpus_) GTEST_SKIP() << "there are " << gpus_ << " GPUs";
    const TrainResult actual = train_loud(way);
    ASSERT_EQ(actual.history.size(), 3u);
    double scale = 65536;
    for (const EpochResult& epoch : actual.history) {
        EXPECT_LT(epoch.gradient_norm, 1e4) << "of a scaled gradient, or one that was skipped";
        EXPECT_EQ(epoch.skipped_updates, 1) << "epoch " << epoch.epoch;
        EXPECT_EQ(epoch.loss_scale, scale /= 2) << "epoch " << epoch.epoch;
    }
    Way alone = way;
    alone.ranks = 1, alone.stage = 0;
    EXPECT_EQ(actual.final_weights_hash, train_loud(alone).final_weights_hash);
}

INSTANTIATE_TEST_SUITE_P(Ways, GpuLossScaling,
                         testing::Values(Way{"ddp", 2, 0, 1, in_fp16}, Way{"ddp_of_three", 3, 0, 1, in_fp16},
                                         Way{"zero1", 2, 1, 1, in_fp16}, Way{"zero2", 2, 2, 1, in_fp16},
                                         Way{"zero3_of_three", 3, 3, 1, in_fp16},
                                         Way{"zero3_sgd", 2, 3, 1, [](Config& c) { in_fp16(c), c.train.optimizer = "sgd"; }},
                                         Way{"clipped_average", 2, 0, 1, clip_and_average},
                                         Way{"zero1_clipped_average", 2, 1, 1, clip_and_average},
                                         Way{"zero3_clipped_average", 3, 3, 1, clip_and_average},
                                         Way{"zero2_clipped", 2, 2, 1,
                                             [](Config& c) { in_fp16(c), c.train.clip_norm = 1, c.train.ema_decay = 0.9; }},
                                         Way{"overlapped", 2, 2, 1, [](Config& c) { in_fp16(c), overlap(c); }}),
                         [](const auto& way) { return way.param.name; });

TEST_F(GpuLossScalingAlone, AResumedRunGoesOnWithItsScale) {
    const Way way{"alone", 1, 0, 1, in_fp16};
    const TrainResult whole = train_loud(way);
    for (const int steps : {3, 4, 7}) {
        SCOPED_TRACE(steps);
        TemporaryFolder folder;
        TrainOptions options;
        options.checkpoint_dir = folder.path();
        int asked = 0;
        options.stop = [&] { return ++asked == steps; };
        EXPECT_TRUE(train_loud(way, options).interrupted);
        options.stop = nullptr;
        options.resume = true;
        const TrainResult rest = train_loud(way, options);
        EXPECT_EQ(rest.final_weights_hash, whole.final_weights_hash);
        EXPECT_EQ(rest.history.back().loss_scale, whole.history.back().loss_scale);
        EXPECT_EQ(rest.history.back().skipped_updates, whole.history.back().skipped_updates);
    }
}

TEST_F(GpuLossScalingAlone, CapturedAndUncapturedStepsHaveTheSameBits) {
    std::vector<std::string> hashes;
    for (const bool captured : {true, false})
        hashes.push_back(train_on({"", 1, 0, 1, in_fp16}, [&](int rank) {
                             auto device = make_cuda_device(rank);
                             device->allow_replays(captured);
                             return device;
                         }).final_weights_hash);
    EXPECT_EQ(hashes[0], hashes[1]);
}

// fp16 has 11 bits of mantissa: losses within a thousandth of fp32's, where bf16's 8 bits stay within a hundredth.
TEST_F(GpuLossScalingAlone, IsCloseToFp32) {
    Way way{"", 1, 0, 1, in_fp16};
    const TrainResult half = train_on(way, gpus);
    way.change = [](Config& config) { in_fp16(config), config.train.precision = "fp32"; };
    const TrainResult whole = train_on(way, gpus);
    EXPECT_NE(half.final_weights_hash, whole.final_weights_hash);
    for (size_t epoch = 0; epoch < whole.history.size(); ++epoch) {
        EXPECT_NEAR(half.history[epoch].train_loss, whole.history[epoch].train_loss, 2e-3 * whole.history[0].train_loss);
        EXPECT_EQ(half.history[epoch].skipped_updates, 0);
        EXPECT_EQ(half.history[epoch].loss_scale, 65536);
        EXPECT_EQ(whole.history[epoch].loss_scale, 1);
    }
}

// What is clipped is the gradient, not the scaled one, which is thousands of times as long.
TEST_F(GpuLossScalingAlone, ClipsTheUnscaledGradients) {
    Way way{"", 1, 0, 1, clip_and_average};
    const TrainResult half = train_on(way, gpus);
    way.change = [](Config& config) { clip_and_average(config), config.train.precision = "fp32"; };
    const TrainResult whole = train_on(way, gpus);
    for (size_t epoch = 0; epoch < whole.history.size(); ++epoch) {
        const EpochResult &actual = half.history[epoch], &expected = whole.history[epoch];
        EXPECT_NEAR(actual.gradient_norm, expected.gradient_norm, 0.05 * expected.gradient_norm);
        EXPECT_EQ(actual.clipped, expected.clipped);
        EXPECT_GT(actual.clipped, 0);
        EXPECT_NEAR(actual.train_loss, expected.train_loss, 1e-2 * whole.history[0].train_loss);
        EXPECT_NEAR(actual.val_loss, expected.val_loss, 1e-2 * whole.history[0].val_loss);
    }
}

std::vector<float> moments_of(RankSteps& steps) {
    std::vector<float> all;
    for (const NamedTensor& moment : steps.strategy().save()) all.insert(all.end(), moment.data.begin(), moment.data.end());
    return all;
}

std::vector<float> parameters_of(RankSteps& steps) {
    const ModelState& state = steps.state();
    return state.device.read(state.parameters.as<float>(), state.flat.parameter_elements, [&](const float* here) {
        return std::vector<float>(here, here + state.flat.parameter_elements);
    });
}

void skip_an_update(const TrainConfig& config) {
    const auto device = make_cuda_device(0);
    const auto self = make_self_communicator();
    ModelConfig model{"pneumonia_cnn", {4, 6, 8}};
    model.size = 16, model.classes = 3, model.dropout = 0;
    std::vector<float> without;
    for (const float bad : {0.0f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
        RankSteps steps(build_model(model), *self, *device, {}, config);
        steps.step();
        if (bad != 0) {
            const std::vector<float> before = parameters_of(steps), moments = moments_of(steps);
            steps.compute();
            device->copy(steps.state().gradients.data(), &bad, sizeof bad);
            steps.training().update();
            EXPECT_EQ(parameters_of(steps), before);
            EXPECT_EQ(moments_of(steps), moments);
            const LossScale scale = steps.training().loss_scaler()->read();
            EXPECT_EQ(scale.scale, 32768);
            EXPECT_EQ(scale.skipped_updates, 1);
            EXPECT_EQ(scale.good_updates, 0);
        }
        // Adam's t does not count what was skipped; with another one every weight would move by another step. Half of the
        // scale changes only gradients that are subnormal in fp16.
        steps.step();
        const std::vector<float> weights = parameters_of(steps);
        if (bad == 0) without = weights;
        double difference = 0;
        for (size_t i = 0; i < weights.size(); ++i) difference += std::abs(static_cast<double>(weights[i] - without[i]));
        EXPECT_LT(difference / static_cast<double>(weights.size()), 1e-3 * config.learning_rate);
    }
}

TEST_F(GpuLossScalingAlone, ASkippedUpdateLeavesWeightsMomentsAndAverageAsTheyWere) {
    TrainConfig config = eight_images();
    config.precision = "fp16";
    skip_an_update(config);
    config.clip_norm = 0.05, config.ema_decay = 0.9;
    config.weights = "another training's";  // whose statistics are averaged from the first step on
    skip_an_update(config);
}

TEST_F(GpuLossScalingAlone, AScaleThatFallsBelowOneEndsTheRunWithAWord) {
    Way way{"", 1, 0, 1, [](Config& config) {
                in_fp16(config);
                config.train.epochs = 30;
            }};
    Config config = loud_config(way);
    config.train.pos_weight = {1, 1e12, 1e12};
    const MemoryDataset dataset = set_with_a_loud_image();
    const auto self = make_self_communicator();
    const auto device = gpus(0);
    TrainOptions options;
    options.device = device.get();
    try {
        train(config, dataset, *self, options);
        FAIL() << "it went on";
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("overflow fp16"));
        EXPECT_THAT(error.what(), testing::HasSubstr("bf16"));
    }
}

TEST(LossScaling, Fp16IsRefusedOnACpuByName) {
    try {
        train_on({"", 1, 0, 1, in_fp16}, nullptr);
        FAIL() << "it trained";
    } catch (const UsageError& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("precision fp16 needs a GPU"));
        EXPECT_THAT(error.what(), testing::HasSubstr("device cuda"));
    }
}

// In fp32, as a CPU has no products in these types.
TEST(LossScaling, WeightsThatWereTrainedOnAGpuAreUsedOnACpu) {
    const MemoryDataset dataset(random_set({}));
    ModelConfig model{"pneumonia_cnn", {4, 6, 8}};
    model.channels = 1, model.size = 16, model.classes = 3;
    const Graph graph = build_model(model);
    Cpu cpu;
    ModelState state(graph, cpu);
    state.initialize(1);
    std::vector<Predictions> predicted;
    for (const char* precision : {"fp32", "fp16", "tf32"}) {
        ModelDescription about;
        about.model = model;
        about.precision = precision;
        predicted.push_back(predict(graph, state.weights(), about, dataset, dataset.indices(Split::test), cpu));
        EXPECT_EQ(predicted.back().probabilities, predicted.front().probabilities) << precision;
    }
}

}  // namespace
}  // namespace xbench::test
