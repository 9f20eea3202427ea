// What a configuration can ask of a training beside its optimizer: schedules, weights of classes, smoothing, focal loss,
// clipping, an average of the weights, frozen parameters, chunks. Each changes the weights, and gives the same ones
// serially, on any number of ranks, in every stage of ZeRO, in shared memory, and interrupted and resumed elsewhere.
#include <gtest/gtest.h>

#include "models/registry.h"
#include "parallel/checkpoint/checkpoint.h"
#include "parallel/train/inference.h"
#include "tests/parallel/feature_runs.h"
#include "tests/parallel/shm_ranks.h"
#include "tests/parallel/temporary_folder.h"

namespace xbench::test {
namespace {

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
    {"average_with_copied_statistics", [](TrainConfig& t) { t.ema_decay = 0.7, t.ema_statistics = "copied"; }},
    {"average_of_local_statistics", [](TrainConfig& t) { t.ema_decay = 0.7, t.batchnorm = "local"; }},
    {"average_beside_frozen",
     [](TrainConfig& t) {
         t.ema_decay = 0.7, t.freeze = {"f.1.*", "f.4.weight"};
     }},
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

}  // namespace
}  // namespace xbench::test
