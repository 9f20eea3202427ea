// What a configuration can ask of a training beside its optimizer: schedules, weights of classes, smoothing, focal loss,
// clipping, an average of the weights, frozen parameters, chunks. Each changes the weights, and gives the same ones
// serially, on any number of ranks, in every stage of ZeRO, in shared memory, and interrupted and resumed elsewhere.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/error.h"
#include "data/set/memory_dataset.h"
#include "models/registry.h"
#include "models/training_graph.h"
#include "parallel/strategy/optimizer_step.h"
#include "parallel/train/dataset_model.h"
#include "parallel/train/inference.h"
#include "parallel/train/resolved_training.h"
#include "tests/parallel/random_set.h"
#include "tests/parallel/run_on.h"
#include "tests/parallel/shm_ranks.h"
#include "tests/parallel/temporary_folder.h"

namespace xbench::test {
namespace {

struct Feature {
    std::string name;
    void (*change)(TrainConfig&);
    bool multilabel = false;
};

const std::vector<Feature> features{
    {"cosine", [](TrainConfig& t) { t.lr_schedule = "cosine", t.lr_interval = "step", t.warmup_steps = 3; }},
    {"step", [](TrainConfig& t) { t.lr_schedule = "step", t.lr_step_size = 1; }},
    {"plateau", [](TrainConfig& t) { t.lr_schedule = "plateau", t.lr_patience = 0, t.lr_threshold = 10; }},
    {"class_weights", [](TrainConfig& t) { t.class_weight_rule = "balanced"; }},
    {"class_weights_by_images",
     [](TrainConfig& t) {
         t.class_weights = {1, 3}, t.class_weight_mean = "images";
     }},
    {"smoothing", [](TrainConfig& t) { t.label_smoothing = 0.1; }},
    {"focal", [](TrainConfig& t) { t.loss = "focal"; }},
    {"clipping", [](TrainConfig& t) { t.clip_norm = 0.05; }},
    {"clipping_sgd", [](TrainConfig& t) { t.clip_norm = 0.05, t.optimizer = "sgd"; }},
    {"decay", [](TrainConfig& t) { t.optimizer = "adamw", t.weight_decay = 0.5, t.decay_exclude = "bias_and_norm"; }},
    {"average", [](TrainConfig& t) { t.ema_decay = 0.7; }},
    {"average_of_clipped", [](TrainConfig& t) { t.ema_decay = 0.7, t.clip_norm = 0.05; }},
    {"frozen_first",
     [](TrainConfig& t) {
         t.freeze = {"f.0.*", "f.1.*"};
     }},
    {"frozen_normalisations",
     [](TrainConfig& t) {
         t.freeze = {"f.1.*", "f.5.*", "f.9.*"};
     }},
    {"frozen_locally", [](TrainConfig& t) { t.freeze = {"f.1.*"}, t.batchnorm = "local", t.virtual_ranks = 7; }},
    {"frozen_weight",
     [](TrainConfig& t) {
         t.freeze = {"f.4.weight", "f.9.bias"};
     }},
    {"chunks", [](TrainConfig& t) { t.chunk_images = 40, t.chunk_partitions = 3; }},
    {"focal_of_several", [](TrainConfig& t) { t.loss = "focal"; }, true},
    {"smoothed_and_weighted",
     [](TrainConfig& t) {
         t.label_smoothing = 0.1, t.class_weights = {1, 2, 5};
     },
     true},
    {"positive_weights", [](TrainConfig& t) { t.pos_weight_rule = "sqrt"; }, true},
};

Config config_with(const Feature& feature) {
    Config config = small_run();
    config.train.epochs = 3;
    feature.change(config.train);
    return config;
}

std::unique_ptr<Dataset> dataset_for(const Feature& feature, const Config& config) {
    if (!feature.multilabel) return open_dataset(config.data);
    return std::make_unique<MemoryDataset>(random_set({.train = 100, .multilabel = true}));
}

TrainResult run_feature(const Feature& feature, int ranks, int stage, TrainOptions options = {}) {
    const Config config = config_with(feature);
    const auto dataset = dataset_for(feature, config);
    options.stage = stage;
    TrainResult result;
    on_ranks(ranks, [&](Communicator& communicator) {
        TrainOptions mine = options;
        if (mine.stop && communicator.rank() > 0) mine.stop = [] { return false; };
        TrainResult trained = train(config, *dataset, communicator, mine);
        if (communicator.rank() == 0) result = std::move(trained);
    });
    return result;
}

class Features : public testing::TestWithParam<Feature> {};

TEST_P(Features, GiveTheSameWeightsHoweverTheyAreSpread) {
    const Feature& feature = GetParam();
    Feature plain = feature;
    plain.change = [](TrainConfig&) {};
    const TrainResult one = run_feature(feature, 1, 0), without = run_feature(plain, 1, 0);
    EXPECT_NE(one.final_weights_hash, without.final_weights_hash) << "it does nothing";
    const auto expect_same = [&](const TrainResult& other, const std::string& how) {
        EXPECT_EQ(other.final_weights_hash, one.final_weights_hash) << how;
        EXPECT_EQ(other.weights_hash, one.weights_hash) << how;
        EXPECT_EQ(other.val.loss, one.val.loss) << how;
        EXPECT_EQ(other.history.back().train_loss, one.history.back().train_loss) << how;
        EXPECT_EQ(other.history.back().gradient_norm, one.history.back().gradient_norm) << how;
        EXPECT_EQ(other.history.back().chunk_loss, one.history.back().chunk_loss) << how;
    };
    for (const int ranks : {2, 3}) expect_same(run_feature(feature, ranks, 0), std::to_string(ranks) + " ranks");
    for (const int stage : {1, 2, 3}) expect_same(run_feature(feature, 2, stage), "stage " + std::to_string(stage));
    expect_same(run_feature(feature, 3, 3), "stage 3 of 3 ranks");
}

TEST_P(Features, AreInterruptedAndResumed) {
    const Feature& feature = GetParam();
    const TrainResult whole = run_feature(feature, 1, 0);
    const TemporaryFolder folder;
    TrainOptions options;
    options.checkpoint_dir = folder.path();
    options.resume = true;
    int asked = 0;
    const auto after = [&](int steps) {
        asked = 0;
        options.stop = [&asked, steps] { return ++asked == steps; };
    };
    after(4);  // inside of the first epoch, then of the second
    EXPECT_TRUE(run_feature(feature, 2, 0, options).interrupted);
    after(5);
    EXPECT_TRUE(run_feature(feature, 2, 3, options).interrupted);
    options.stop = nullptr;
    const TrainResult rest = run_feature(feature, 1, 0, options);
    EXPECT_EQ(rest.resumed_at, 9u);
    EXPECT_EQ(rest.final_weights_hash, whole.final_weights_hash);
    EXPECT_EQ(rest.weights_hash, whole.weights_hash);
    EXPECT_EQ(rest.test.loss, whole.test.loss);
    ASSERT_EQ(rest.history.size(), whole.history.size());
    for (size_t epoch = 0; epoch < whole.history.size(); ++epoch) {
        EXPECT_EQ(rest.history[epoch].train_loss, whole.history[epoch].train_loss);
        EXPECT_EQ(rest.history[epoch].learning_rate, whole.history[epoch].learning_rate);
        EXPECT_EQ(rest.history[epoch].gradient_norm, whole.history[epoch].gradient_norm);
        EXPECT_EQ(rest.history[epoch].clipped, whole.history[epoch].clipped);
    }
}

INSTANTIATE_TEST_SUITE_P(All, Features, testing::ValuesIn(features), [](const auto& feature) { return feature.param.name; });

// What `eval` makes of a checkpoint is the loss that the run itself has seen.
TEST(Features, ACheckpointHoldsItsLoss) {
    for (const Feature& feature : features) {
        SCOPED_TRACE(feature.name);
        const TemporaryFolder folder;
        TrainOptions options;
        options.checkpoint_dir = folder.path();
        const TrainResult result = run_feature(feature, 1, 0, options);
        const Config config = config_with(feature);
        const auto dataset = dataset_for(feature, config);
        const WeightSet best = load_weights(folder.path() / "best.safetensors");
        EXPECT_EQ(weights_hash(best), result.weights_hash);
        const ModelDescription about = description_of(best, "best");
        EXPECT_EQ(about.kind, config.train.ema_decay > 0 ? "ema" : "trained");
        Cpu device;
        const auto indices = dataset->indices(Split::test);
        const Predictions predictions = predict(build_model(about.model), best, about, *dataset, indices, device);
        EXPECT_EQ(compute_metrics(predictions, about.class_names).loss, result.test.loss);
    }
}

// Ranks of one node that share their memory: the fused update averages its part, and clipping takes another way.
TEST(FeaturesInSharedMemory, GiveTheSameWeights) {
    for (const Feature& feature : features) {
        if (feature.name.find("average") == std::string::npos && feature.name != "clipping" && feature.name != "decay")
            continue;
        SCOPED_TRACE(feature.name);
        const Config config = config_with(feature);
        const auto dataset = open_dataset(config.data);
        const TrainResult one = run_feature(feature, 1, 0);
        TrainResult result;
        for (const std::string& said : on_threads(3, 60, [&](Communicator& communicator) {
                 TrainResult mine = train(config, *dataset, communicator, {});
                 if (communicator.rank() == 0) result = std::move(mine);
                 return std::string();
             }))
            EXPECT_EQ(said, "");
        EXPECT_EQ(result.overlap == "fused", config.train.clip_norm == 0);
        EXPECT_EQ(result.final_weights_hash, one.final_weights_hash);
        EXPECT_EQ(result.val.loss, one.val.loss);
    }
}

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
