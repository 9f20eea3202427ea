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
#include "tests/parallel/small_run.h"
#include "tests/parallel/temporary_folder.h"
#include "tests/parallel/thread_communicator.h"

namespace xbench::test {
namespace {

using testing::HasSubstr;

struct Way {
    std::string name;
    int ranks = 1, stage = 0, threads = 1;
    void (*change)(Config&) = [](Config&) {};
};

Config config_of(const Way& way) {
    Config config = small_run();
    config.data.synthetic.count = 75;
    way.change(config);
    return config;
}

// Rank 0's result; options.stop is asked of rank 0 only.
TrainResult train_on(const Way& way, bool guarded, TrainOptions options = {}) {
    const Config config = config_of(way);
    const auto dataset = open_dataset(config.data);
    TrainResult result;
    options.threads = way.threads;
    options.stage = way.stage;
    on_ranks(way.ranks, [&](Communicator& communicator) {
        TrainOptions mine = options;
        GuardedDevice device(way.threads);
        if (guarded) mine.device = &device;
        if (options.stop && communicator.rank() > 0) mine.stop = [] { return false; };
        TrainResult trained = train(config, *dataset, communicator, mine);
        EXPECT_EQ(device.launches() > 0, guarded);
        if (communicator.rank() == 0) result = std::move(trained);
    });
    return result;
}

void expect_same(const TrainResult& actual, const TrainResult& expected) {
    EXPECT_EQ(actual.weights_hash, expected.weights_hash);
    EXPECT_EQ(actual.final_weights_hash, expected.final_weights_hash);
    EXPECT_EQ(actual.test.loss, expected.test.loss);
    EXPECT_EQ(actual.test.confusion, expected.test.confusion);
    ASSERT_EQ(actual.history.size(), expected.history.size());
    for (size_t epoch = 0; epoch < expected.history.size(); ++epoch) {
        EXPECT_EQ(actual.history[epoch].train_loss, expected.history[epoch].train_loss);
        EXPECT_EQ(actual.history[epoch].val_loss, expected.history[epoch].val_loss);
    }
}

void make_deep(Config& config) {
    config.model.name = "cifar_cnn";
    config.data.synthetic.channels = 3;
    config.data.synthetic.size = 32;
    config.data.synthetic.count = 40;
    config.model.widths.clear();
    config.train.epochs = 1;
}

void accumulate(Config& config) {  // of a model without batch normalisation
    make_deep(config);
    config.model.name = "rsna_cnn";
    config.data.synthetic.channels = 1;
    config.train.accumulate = 2;
}

const std::vector<Way> ways{
    {"serial"},
    {"threads", 1, 0, 2},
    {"blocks", 1, 0, 1, [](Config& c) { c.train.virtual_ranks = 6; }},
    {"sgd", 1, 0, 1, [](Config& c) { c.train.optimizer = "sgd", c.train.learning_rate = 0.001; }},
    {"batchnorm", 1, 0, 1, make_deep},
    {"local_batchnorm", 2, 0, 1, [](Config& c) { make_deep(c), c.train.batchnorm = "local"; }},
    {"accumulate", 2, 0, 1, accumulate},
    {"checkpointing", 1, 0, 1, [](Config& c) { make_deep(c), c.train.activation_checkpointing = true; }},
    {"check_steps", 2, 0, 1, [](Config& c) { c.train.check_steps = 2; }},
    {"cpu_ddp", 2},
    {"three_ranks", 3},
    {"fast", 2, 0, 1, [](Config& c) { c.train.reduction = "fast"; }},
    {"zero1", 2, 1},
    {"zero2", 2, 2},
    {"zero3", 2, 3},
    {"zero3_of_three", 3, 3},
    {"zero3_batchnorm", 2, 3, 1, make_deep},
    {"zero3_accumulate", 2, 3, 1, accumulate}};

class GuardedTraining : public testing::TestWithParam<Way> {};

TEST_P(GuardedTraining, HasTheBitsOfTheCpu) { expect_same(train_on(GetParam(), true), train_on(GetParam(), false)); }

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

TEST(Guarded, ACheckpointGoesOnWhereItWasTaken) {
    for (const Way& way : {Way{"serial"}, Way{"zero3", 2, 3}}) {
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

TEST(Guarded, EvalAndPredictGiveTheFiguresOfTheCpu) {
    const Config config = config_of({"serial"});
    const auto dataset = open_dataset(config.data);
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
