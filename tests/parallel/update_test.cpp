// What is done to gradients and weights: frozen parameters, weights of classes, clipping, averaging and decay, on numbers
// that can be checked by hand.
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "models/registry.h"
#include "models/training_graph.h"
#include "parallel/checkpoint/checkpoint.h"
#include "parallel/strategy/optimizer_step.h"
#include "parallel/train/dataset_model.h"
#include "parallel/train/resolved_training.h"
#include "tests/parallel/feature_runs.h"
#include "tests/parallel/temporary_folder.h"

namespace xbench::test {
namespace {

TEST(Freezing, KeepsTheFrozenTensorsAndStatistics) {
    const Feature feature{"", [](TrainConfig& t) { t.freeze = {"f.0.*", "f.1.*", "f.9.*"}; }};
    const TemporaryFolder folder;
    TrainOptions options;
    options.checkpoint_dir = folder.path();
    const TrainResult result = run_feature(feature, 1, 0, options);
    const Config config = config_with(feature);
    const auto dataset = open_dataset(config.data);
    const Graph graph = build_model(model_for(config.model, dataset->info()));
    Cpu device;
    ModelState fresh(graph, device);
    fresh.initialize(config.train.seed);
    const WeightSet before = fresh.weights(), after = load_weights(folder.path() / "last.safetensors");
    ASSERT_EQ(before.tensors.size(), after.tensors.size());
    int64_t parameters = 0;
    for (size_t i = 0; i < before.tensors.size(); ++i) {
        const std::string& name = before.tensors[i].name;
        EXPECT_EQ(name, after.tensors[i].name);
        const bool frozen = name.starts_with("f.0.") || name.starts_with("f.1.") || name.starts_with("f.9.");
        EXPECT_EQ(before.tensors[i].data == after.tensors[i].data, frozen) << name;
        if (name.find("running") == std::string::npos) parameters += before.tensors[i].shape.elements();
    }
    EXPECT_EQ(result.parameters, parameters);
    const TrainResult all = run_feature({"", [](TrainConfig&) {}}, 1, 0);
    EXPECT_LT(result.optimizer_bytes, all.optimizer_bytes) << "frozen parameters have no moments";
    EXPECT_LT(result.gradient_bytes, all.gradient_bytes + 1);
}

TEST(Freezing, WhatFitsNothingIsRefused) {
    EXPECT_THROW(run_feature({"", [](TrainConfig& t) { t.freeze = {"g.*"}; }}, 1, 0), UsageError);
    EXPECT_THROW(run_feature({"", [](TrainConfig& t) { t.freeze = {"*"}; }}, 1, 0), UsageError);
    EXPECT_TRUE(fits_pattern("layer1.0.bn1.weight", "layer1.*"));
    EXPECT_TRUE(fits_pattern("f.0.weight", "f.?.weight"));
    EXPECT_FALSE(fits_pattern("f.10.weight", "f.?.weight"));
    EXPECT_FALSE(fits_pattern("f.0.weight", "weight"));
}

TEST(WeightsOfClasses, FollowFromTheTrainingSplit) {
    ImageSet set = random_set({.train = 10, .val = 6, .test = 6, .classes = 2});
    for (size_t i = 0; i < set.records.labels.size(); ++i) set.records.labels[i] = i < 10 ? i >= 8 : 1;  // 8 and 2, then 1
    const MemoryDataset two(std::move(set));
    TrainConfig config;
    config.class_weight_rule = "balanced";
    EXPECT_EQ(resolve_weights(config, two).class_weights, (std::vector<double>{10.0 / 16, 10.0 / 4}));
    config.class_weight_rule = "";
    config.class_weights = {1, 2, 3};
    EXPECT_THROW(resolve_weights(config, two), UsageError);
    config.class_weights = {};
    config.pos_weight_rule = "ratio";
    EXPECT_THROW(resolve_weights(config, two), UsageError);

    ImageSet labels = random_set({.train = 10, .classes = 2, .multilabel = true});
    for (size_t i = 0; i < 10; ++i) {
        labels.records.targets[2 * i] = i < 2;                                      // 2 and 8
        labels.records.targets[2 * i + 1] = i < 4 ? 1 : i < 8 ? 0 : unknown_label;  // 4 and 4, two unknown
    }
    const MemoryDataset several(std::move(labels));
    EXPECT_EQ(resolve_weights(config, several).pos_weight, (std::vector<double>{4, 1}));
    config.pos_weight_rule = "sqrt";
    EXPECT_EQ(resolve_weights(config, several).pos_weight, (std::vector<double>{2, 1}));
    config.pos_weight_rule = "log";
    EXPECT_EQ(resolve_weights(config, several).pos_weight, (std::vector<double>{std::log(5.0), std::log(2.0)}));
    config.pos_weight_rule = "";
    config.class_weights = {1, 3};
    EXPECT_EQ(resolve_weights(config, several).class_weights, (std::vector<double>{0.5, 1.5}));
    config.class_weight_rule = "balanced";
    EXPECT_THROW(resolve_weights(config, several), UsageError);
}

TEST(WeightsOfClasses, AClassWithoutImagesIsRefused) {
    ImageSet set = random_set({.train = 10, .classes = 3});
    for (size_t i = 0; i < 10; ++i) set.records.labels[i] = i % 2 ? 2 : 0;
    const MemoryDataset dataset(std::move(set));
    TrainConfig config;
    config.class_weight_rule = "balanced";
    EXPECT_THROW(resolve_weights(config, dataset), UsageError);
}

// The global norm of [3, 0] and [4] is 5: clipped to 1 they are [.6, 0] and [.8], but for the 1e-6.
TEST(Clipping, ScalesByTheGlobalNorm) {
    const Config config = small_run();
    const Graph graph = build_model(resolve_model(config.model));
    for (const double limit : {1.0, 10.0}) {
        Cpu device;
        ModelState state(graph, device);
        TrainConfig train;
        train.optimizer = "sgd";
        train.momentum = 0;
        train.clip_norm = limit;
        OptimizerStep step(train, state);
        const auto second = static_cast<size_t>(state.flat.parameters[1].begin);
        auto *const g = state.gradients.as<float>(), *const p = state.parameters.as<float>();
        g[0] = 3;
        g[second] = 4;
        StepContext context{};
        context.learning_rate = 1;
        context.update = 1;
        step.run(context);
        EXPECT_EQ(step.gradient_norm(), 5);
        EXPECT_NEAR(p[0], limit > 5 ? -3 : -0.5999999, 6e-8);
        EXPECT_EQ(p[1], 0);
        EXPECT_NEAR(p[second], limit > 5 ? -4 : -0.7999998, 6e-8);
        g[second] = std::nanf("");
        try {
            step.run(context);
            ADD_FAILURE() << "a norm that is no number was taken";
        } catch (const Error& error) {
            const std::string name = graph.value(state.flat.parameters[1].value).name;
            EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
        }
    }
}

// Any division into whole lines gives the bits of one piece, and each line counts once.
TEST(Clipping, TheNormHasTheSameBitsForAnyDivision) {
    Random random(3, RandomUse::test_data);
    for (int round = 0; round < 200; ++round) {
        const auto lines = static_cast<int64_t>(1 + random.below(70));
        std::vector<double> sums;
        for (int64_t i = 0; i < lines; ++i) sums.push_back(std::pow(random.uniform(0, 1), 9));
        const double whole = sum_of_blocks(sum_blocks(sums.data(), 0, lines));
        std::vector<BlockSum> blocks;
        for (int64_t first = 0; first < lines;) {
            const auto count = std::min(lines - first, static_cast<int64_t>(1 + random.below(20)));
            const auto part = sum_blocks(sums.data() + first, first, count);
            blocks.insert(blocks.begin(), part.begin(), part.end());
            first += count;
        }
        EXPECT_EQ(sum_of_blocks(blocks), whole) << lines << " lines";
        double plain = 0;
        for (const double sum : sums) plain += sum;
        EXPECT_NEAR(whole, plain, 1e-12 * static_cast<double>(lines));
    }
}

TEST(Averaging, IsExponentialAndStartsAsTheWeights) {
    const Graph graph = build_model(resolve_model(small_run().model));
    Cpu device;
    ModelState state(graph, device);
    TrainConfig train;
    train.optimizer = "sgd";
    train.momentum = 0;
    train.ema_decay = 0.75;
    OptimizerStep step(train, state);
    auto *const g = state.gradients.as<float>(), *const p = state.parameters.as<float>();
    p[0] = 8;
    g[0] = 4;
    step.start_average();
    StepContext context{};
    context.learning_rate = 1;
    context.update = 1;
    step.run(context);  // 4: 0.75 * 8 + 0.25 * 4
    EXPECT_EQ(step.moment(1)[0], 7);
    step.run(context);  // 0: 0.75 * 7 + 0.25 * 0
    EXPECT_EQ(step.moment(1)[0], 5.25f);
    step.swap_average();
    EXPECT_EQ(p[0], 5.25f);
    step.swap_average();
    EXPECT_EQ(p[0], 0);
    EXPECT_EQ(step.moment_names(), (std::vector<std::string>{"m0", "ema"}));
}

TEST(Decay, LeavesOneDimensionalParametersAlone) {
    const Graph graph = build_model(resolve_model(small_run().model));
    for (const char* exclude : {"none", "bias_and_norm"}) {
        Cpu device;
        ModelState state(graph, device);
        TrainConfig train;
        train.optimizer = "adamw";
        train.weight_decay = 0.5;
        train.decay_exclude = exclude;
        OptimizerStep step(train, state);
        auto* const p = state.parameters.as<float>();
        for (int64_t i = 0; i < state.flat.parameter_elements; ++i) p[i] = 1;
        StepContext context{};
        context.learning_rate = 0.5;
        context.update = 1;
        step.run(context);  // gradients of 0
        for (const FlatRange& range : state.flat.parameters) {
            const bool decays = std::string(exclude) == "none" || graph.value(range.value).shape.rank > 1;
            EXPECT_EQ(p[range.begin], decays ? 0.75f : 1.0f) << graph.value(range.value).name;
            EXPECT_EQ(p[range.begin + range.count - 1], decays ? 0.75f : 1.0f);
        }
    }
}

}  // namespace
}  // namespace xbench::test
