// Evaluations: the same figures from a checkpoint as from the training run that wrote it, no result from numbers that are
// not finite, and ranks that have no image in a batch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/error.h"
#include "models/registry.h"
#include "parallel/train/best_epoch.h"
#include "parallel/train/inference.h"
#include "tests/parallel/random_set.h"
#include "tests/parallel/small_run.h"
#include "tests/parallel/temporary_folder.h"
#include "tests/parallel/thread_communicator.h"

namespace xbench::test {
namespace {

using testing::HasSubstr;

Config one_epoch(const std::string& model) {
    Config config;
    config.model.name = model;
    if (model == "pneumonia_cnn") config.model.widths = {4, 6, 8};
    config.train.batch_size = 16;
    config.train.epochs = 1;
    return config;
}

class EvaluatesAsItTrained : public testing::TestWithParam<std::tuple<std::string, bool>> {};

TEST_P(EvaluatesAsItTrained, EveryFigureIsEqual) {
    const auto& [model, multilabel] = GetParam();
    SetShape shape;
    shape.multilabel = multilabel;
    shape.channels = find_model(model).channels;
    shape.size = 32;
    const MemoryDataset dataset(random_set(shape));
    const auto communicator = make_self_communicator();
    Config config = one_epoch(model);
    for (const char* precision : {"fp32", "bf16"})
        for (const int64_t leaves : {8, 6}) {
            SCOPED_TRACE(testing::Message() << precision << ", " << leaves << " virtual ranks");
            config.train.precision = precision;
            config.train.virtual_ranks = leaves;
            if (multilabel) config.train.pos_weight = {5, 2, 3};
            TemporaryFolder folder;
            TrainOptions options;
            options.checkpoint_dir = folder.path();
            const TrainResult result = train(config, dataset, *communicator, options);
            const WeightSet best = load_weights(folder.path() / "best.safetensors");
            const ModelDescription about = description_of(best, "best");
            const auto score = [&](Split split) {
                const auto images = dataset.indices(split);
                Cpu device;
                const auto predictions = predict(build_model(about.model), best, about, dataset, images, device);
                return to_json(compute_metrics(predictions, about.class_names)).dump(1);
            };
            EXPECT_EQ(score(Split::val), to_json(result.val).dump(1));
            EXPECT_EQ(score(Split::test), to_json(result.test).dump(1));
        }
}

INSTANTIATE_TEST_SUITE_P(Models, EvaluatesAsItTrained,
                         testing::Combine(testing::ValuesIn([] {
                                              std::vector<std::string> names;
                                              for (const ModelInfo& row : model_table()) names.emplace_back(row.name);
                                              return names;
                                          }()),
                                          testing::Bool()),
                         [](const auto& test) {
                             return std::get<0>(test.param) + (std::get<1>(test.param) ? "_several_labels" : "_one_label");
                         });

TEST(Evaluation, ARunThatDivergesIsNoResult) {
    const MemoryDataset dataset(random_set({}));
    Config config = one_epoch("pneumonia_cnn");
    config.train.batch_size = 40;  // one step an epoch: its loss is still finite
    config.train.optimizer = "sgd";
    config.train.learning_rate = 1e38;
    for (const int ranks : {1, 2})
        on_ranks(ranks, [&](Communicator& communicator) {
            try {
                train(config, dataset, communicator, {});
                ADD_FAILURE() << "it ended well";
            } catch (const Error& error) {
                EXPECT_THAT(error.what(), testing::AnyOf(HasSubstr("f."), HasSubstr("image ")));
                EXPECT_THAT(error.what(), HasSubstr("lower the learning rate"));
            }
        });
}

TEST(Evaluation, WeightsThatAreNoNumbersAreNamed) {
    const MemoryDataset dataset(random_set({}));
    ModelDescription about;
    about.model = {.name = "pneumonia_cnn", .widths = {4, 6, 8}, .channels = 1, .size = 16, .classes = 3};
    const Graph graph = build_model(about.model);
    Cpu device;
    ModelState state(graph, device);
    state.initialize(1);
    for (const float number : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
        for (const size_t tensor : {size_t{0}, state.weights().tensors.size() - 1}) {
            WeightSet weights = state.weights();
            weights.tensors[tensor].data.back() = number;
            try {
                predict(graph, weights, about, dataset, dataset.indices(Split::test), device);
                ADD_FAILURE() << weights.tensors[tensor].name << " was not seen";
            } catch (const Error& error) {
                EXPECT_THAT(error.what(), HasSubstr(weights.tensors[tensor].name));
            }
        }
}

TEST(BestEpoch, ALossThatIsNoNumberNeverStays) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (const char* monitor : {"val_accuracy", "val_loss", "val_balanced_accuracy"}) {
        BestEpoch best;
        EpochResult bad{.epoch = 1, .val_loss = nan, .val_accuracy = 0.9, .val_balanced_accuracy = 0.9};
        EpochResult good{.epoch = 2, .val_loss = 3, .val_accuracy = 0.5, .val_balanced_accuracy = 0.5};
        EXPECT_FALSE(best.beaten_by(bad, monitor));
        EXPECT_TRUE(best.beaten_by(good, monitor));
        best.epoch = bad;
        EXPECT_TRUE(best.beaten_by(good, monitor));
        best.epoch = good;
        EXPECT_FALSE(best.beaten_by(bad, monitor));
    }
}

// Batches that have fewer images than ranks, in each split and in every stage.
TEST(EmptyRanks, EndWithTheWeightsAndFiguresOfOneRank) {
    const SetShape shapes[] = {{.train = 3, .val = 1, .test = 2}, {.train = 17, .val = 65, .test = 1}};
    for (SetShape shape : shapes)
        for (const bool multilabel : {false, true}) {
            shape.multilabel = multilabel;
            const MemoryDataset dataset(random_set(shape));
            const Config config = one_epoch("pneumonia_cnn");
            const auto on = [&](int ranks, int stage) {
                TrainResult result;
                on_ranks(ranks, [&](Communicator& communicator) {
                    TrainOptions options;
                    options.stage = stage;
                    TrainResult mine = train(config, dataset, communicator, options);
                    if (communicator.rank() == 0) result = std::move(mine);
                });
                return result;
            };
            const TrainResult one = on(1, 0);
            for (const int stage : {0, 1, 2, 3})
                for (const int ranks : {2, 3, 8}) {
                    SCOPED_TRACE(testing::Message() << shape.train << " images, several labels " << multilabel << ", "
                                                    << ranks << " ranks, stage " << stage);
                    const TrainResult many = on(ranks, stage);
                    EXPECT_EQ(many.final_weights_hash, one.final_weights_hash);
                    EXPECT_EQ(to_json(many.val), to_json(one.val));
                    EXPECT_EQ(to_json(many.test), to_json(one.test));
                }
        }
}

}  // namespace
}  // namespace xbench::test
