// Whole trainings on a device whose memory the host may not touch: the weights and figures of the CPU, to the last bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/datasets.h"
#include "models/registry.h"
#include "parallel/train/inference.h"
#include "parallel/train/trainer.h"
#include "parallel/train/training_step.h"
#include "tests/parallel/guarded_device.h"
#include "tests/parallel/rank_steps.h"
#include "tests/parallel/temporary_folder.h"
#include "tests/parallel/training_ways.h"

namespace xbench::test {
namespace {

using testing::HasSubstr;

// On guarded devices, or on the CPU.
TrainResult train_on(const Way& way, bool guarded, TrainOptions options = {}) {
    const DeviceOfRank make = [&](int) { return std::make_unique<GuardedDevice>(way.threads); };
    return train_on(way, guarded ? make : DeviceOfRank(), std::move(options), [&](Device* device) {
        EXPECT_EQ(guarded, device && dynamic_cast<GuardedDevice&>(*device).launches() > 0);
    });
}

void expect_same(const TrainResult& actual, const TrainResult& expected) {
    EXPECT_EQ(actual.weights_hash, expected.weights_hash);
    EXPECT_EQ(actual.final_weights_hash, expected.final_weights_hash);
    EXPECT_EQ(actual.test.loss, expected.test.loss);
    EXPECT_EQ(to_json(actual.test).dump(1), to_json(expected.test).dump(1));
    EXPECT_EQ(actual.overlap, expected.overlap);
    ASSERT_EQ(actual.history.size(), expected.history.size());
    for (size_t epoch = 0; epoch < expected.history.size(); ++epoch) {
        EXPECT_EQ(actual.history[epoch].train_loss, expected.history[epoch].train_loss);
        EXPECT_EQ(actual.history[epoch].val_loss, expected.history[epoch].val_loss);
    }
}

class GuardedTraining : public testing::TestWithParam<Way> {};

// The device's clock counts calls, the host's nanoseconds.
void expect_times_of_the_device(const StepTimes& times, int ranks) {
    constexpr int64_t most_calls_of_a_step = 20000;
    const std::vector<int64_t>* const all[]{&times.step_ns, &times.between_steps_ns, &times.comm_ns, &times.skew_ns};
    for (const std::vector<int64_t>* each : all) {
        EXPECT_EQ(each->size(), times.step_images.size());
        for (const int64_t calls : *each) EXPECT_LT(calls, most_calls_of_a_step);
    }
    for (const int64_t calls : times.step_ns) EXPECT_GT(calls, 10);
    for (const int64_t calls : times.comm_ns) EXPECT_GE(calls, ranks > 1 ? 1 : 0);
}

TEST_P(GuardedTraining, HasTheBitsOfTheCpu) {
    const TrainResult guarded = train_on(GetParam(), true);
    expect_same(guarded, train_on(GetParam(), false));
    expect_times_of_the_device(guarded.times, GetParam().ranks);
}

INSTANTIATE_TEST_SUITE_P(Ways, GuardedTraining, testing::ValuesIn(ways), [](const auto& way) { return way.param.name; });

TEST(Guarded, TheHostDiesWhereItTouchesTheMemory) {
    GuardedDevice device;
    const AlignedBuffer memory = device.allocate(100);
    const float seven = 7;
    device.copy(memory.data(), &seven, sizeof seven);
    EXPECT_EQ(device.read(memory.as<float>()), 7);
    EXPECT_DEATH(*memory.as<volatile float>() = 1, "");
    EXPECT_DEATH(static_cast<void>(*memory.as<volatile float>()), "");
}

// What the device does is late: an order sees of another what it follows, and no more.
TEST(Guarded, AnOrderSeesOfAnotherWhatItFollows) {
    GuardedDevice device;
    const auto other = device.another_order();
    const AlignedBuffer memory = device.allocate(sizeof(float)), seen = device.allocate_staging(2 * sizeof(float));
    const float first = 1, second = 2;
    device.copy(memory.data(), &first, sizeof first);
    const DeviceEvent written = device.record();
    device.copy(memory.data(), &second, sizeof second);
    other->copy(seen.data(), memory.data(), sizeof(float));
    other->follow(device, written);
    other->copy(seen.as<float>() + 1, memory.data(), sizeof(float));
    EXPECT_TRUE(std::isnan(seen.as<float>()[1])) << "before a wait";
    other->wait();
    EXPECT_EQ(seen.as<float>()[0], 0);
    EXPECT_EQ(seen.as<float>()[1], 1);
    EXPECT_EQ(device.read(memory.as<float>()), 2);
}

TEST(Guarded, ReferencesRunOnIt) {
    TrainingStepOptions options;
    for (const Kernel& row : kernel_table()) options.forced.push_back({name_of(row.op), "reference"});
    ModelConfig model;
    model.name = "cifar_cnn";
    model.size = 16;
    const Graph graph = build_model(resolve_model(model));
    const auto communicator = make_self_communicator();
    const auto weights_after_two_steps = [&](Device& device) {
        RankSteps steps(graph, *communicator, device, options);
        for (const PlannedStep& step : steps.plan().steps)
            EXPECT_TRUE(step.kind != StepKind::kernel || step.kernel == &reference(step.problem.op));
        for (int step = 0; step < 2; ++step) steps.step();
        return weights_hash(steps.state().weights());
    };
    GuardedDevice guarded;
    Cpu cpu;
    EXPECT_EQ(weights_after_two_steps(guarded), weights_after_two_steps(cpu));
}

TEST(Guarded, ACheckpointGoesOnWhereItWasTaken) {
    for (const Way& way : {Way{"serial"}, Way{"zero3", 2, 3}, Way{"overlapped_zero3", 2, 3, 1, overlap}}) {
        SCOPED_TRACE(way.name);
        TemporaryFolder folder;
        TrainOptions options;
        options.checkpoint_dir = folder.path();
        int asked = 0;
        options.stop = [&] { return ++asked == 5; };
        EXPECT_TRUE(train_on(way, true, options).interrupted);
        options.stop = nullptr;
        options.resume = true;
        const TrainResult rest = train_on(way, true, options);
        EXPECT_EQ(rest.resumed_at, 5u);
        expect_same(rest, train_on(way, false));
    }
}

void expect_the_figures_of_the_cpu(const Way& way) {
    const Config config = config_of(way);
    const auto dataset = dataset_of(way, config);
    const auto communicator = make_self_communicator();
    TemporaryFolder folder;
    TrainOptions options;
    options.checkpoint_dir = folder.path();
    train(config, *dataset, *communicator, options);
    const WeightSet best = load_weights(folder.path() / "best.safetensors");
    const ModelDescription about = description_of(best, "checkpoint");
    const auto predicted = [&](Device& device) {
        return predict(build_model(about.model), best, about, *dataset, dataset->indices(Split::test), device);
    };
    GuardedDevice guarded;
    Cpu cpu;
    const Predictions actual = predicted(guarded), expected = predicted(cpu);
    EXPECT_EQ(actual.probabilities, expected.probabilities);
    EXPECT_EQ(actual.loss_sum, expected.loss_sum);
    EXPECT_EQ(actual.samples, expected.samples);
    EXPECT_GT(guarded.launches(), 0);
}

TEST(Guarded, EvalAndPredictGiveTheFiguresOfTheCpu) {
    for (const Way& way : {Way{"one label"}, Way{"bf16", 1, 0, 1, [](Config& c) { c.train.precision = "bf16"; }},
                           Way{"several labels", 1, 0, 1, [](Config&) {}, true}}) {
        SCOPED_TRACE(way.name);
        expect_the_figures_of_the_cpu(way);
    }
}

// What only the host does is refused before anything is computed, and the device is named.
TEST(Guarded, WhatIsHostOnlyIsRefusedByName) {
    struct {
        void (*change)(Config&);
        std::string where;
    } const refused[]{
        {[](Config& c) { c.train.compression = "fp16", c.train.reduction = "fast"; }, "/train/compression"},
        {[](Config& c) { c.train.compression = "bf16", c.train.reduction = "fast"; }, "/train/compression"},
        {[](Config& c) { c.train.compression = "powersgd", c.train.reduction = "fast"; }, "/train/compression"},
        {[](Config& c) { c.train.overlap = "fused"; }, "/train/overlap"}};
    for (const auto& [change, where] : refused) try {
            train_on({"", 1, 0, 1, change}, true);
            ADD_FAILURE() << "not refused: " << where;
        } catch (const UsageError& error) {
            EXPECT_THAT(error.what(), HasSubstr(where));
            EXPECT_THAT(error.what(), HasSubstr("guarded"));
        }
}

// The loss of a step comes to the host while the next one runs, of the CPU's at once.
TEST(Guarded, LossesComeAStepLate) {
    const auto heard_after = [](Device& device) {
        std::vector<size_t> heard_after_step;
        size_t heard = 0;
        const auto communicator = make_self_communicator();
        const Config config = config_of({"serial"});
        ModelConfig model = config.model;
        model.size = 24;
        TrainingStep step(build_model(resolve_model(model)), config.train, *communicator, device);
        std::vector<float> images(static_cast<size_t>(16 * 24 * 24), 0.5f);
        Batch batch;
        batch.size = batch.global_size = 16;
        batch.images = images.data();
        batch.labels.assign(16, 1);
        batch.sample_ids.assign(16, 0);
        for (int32_t v = 0; v <= 8; ++v) batch.leaf_begin.push_back(2 * v);
        step.hear_losses([&](const TrainingStep::Losses& losses) {
            EXPECT_EQ(losses.batch, static_cast<int64_t>(heard++));
            EXPECT_GT(losses.of_block[0], 0);
        });
        for (batch.index = 0; batch.index < 3; ++batch.index) {
            step.run(batch);
            heard_after_step.push_back(heard);
        }
        step.wait_for_losses();
        heard_after_step.push_back(heard);
        return heard_after_step;
    };
    Cpu cpu;
    GuardedDevice guarded;
    EXPECT_THAT(heard_after(cpu), testing::ElementsAre(1, 2, 3, 3));
    EXPECT_THAT(heard_after(guarded), testing::ElementsAre(0, 1, 2, 3));
}

}  // namespace
}  // namespace xbench::test
