// One process against several ranks (threads here; tests/parallel/mpi_ranks.cpp does the same over MPI).
#include <gtest/gtest.h>

#include <filesystem>

#include "core/error.h"
#include "models/registry.h"
#include "parallel/checkpoint.h"
#include "parallel/inference.h"
#include "tests/parallel/small_run.h"
#include "tests/parallel/thread_communicator.h"

namespace xbench::test {
namespace {

TrainResult run_on(int ranks, const Config& config, int threads = 1) {
    const auto dataset = open_dataset(config.data);
    TrainResult result;
    TrainOptions options;
    options.threads = threads;
    on_ranks(ranks, [&](Communicator& communicator) {
        TrainResult mine = train(config, *dataset, communicator, options);
        if (communicator.rank() == 0) result = std::move(mine);
    });
    return result;
}

TEST(Trainer, SameWeightsAtAnyNumberOfRanksAndThreads) {
    const Config config = small_run();
    const TrainResult one = run_on(1, config);
    ASSERT_EQ(one.final_weights_hash.size(), 32u);
    for (const int ranks : {2, 4, 8}) {
        const TrainResult many = run_on(ranks, config);
        EXPECT_EQ(many.final_weights_hash, one.final_weights_hash) << ranks << " ranks";
        EXPECT_EQ(many.weights_hash, one.weights_hash);
        EXPECT_EQ(many.test.loss, one.test.loss);
        EXPECT_EQ(many.history[1].train_loss, one.history[1].train_loss);
    }
    EXPECT_EQ(run_on(1, config, 2).final_weights_hash, one.final_weights_hash);
    EXPECT_EQ(run_on(2, config, 2).final_weights_hash, one.final_weights_hash);
}

TEST(Trainer, SameWeightsWithDropoutAtAnyNumberOfRanks) {
    Config config = small_run();
    config.model.name = "fracture_cnn";
    config.data.synthetic.size = 32;
    const TrainResult one = run_on(1, config);
    EXPECT_EQ(run_on(4, config).final_weights_hash, one.final_weights_hash);
    config.train.seed = 2;
    EXPECT_NE(run_on(1, config).final_weights_hash, one.final_weights_hash);
}

TEST(Trainer, OtherVirtualRanksAreAnotherOrderOfAddition) {
    Config config = small_run();
    const auto eight = run_on(1, config).final_weights_hash;
    config.train.virtual_ranks = 4;
    EXPECT_NE(run_on(1, config).final_weights_hash, eight);
}

TEST(Trainer, EveryImageIsCountedOnce) {
    const Config config = small_run();
    const TrainResult result = run_on(2, config);
    const auto dataset = open_dataset(config.data);
    EXPECT_EQ(result.history[0].images, static_cast<int64_t>(dataset->indices(Split::train).size()));
    EXPECT_EQ(result.val.count, static_cast<int64_t>(dataset->indices(Split::val).size()));
    EXPECT_EQ(result.test.count, static_cast<int64_t>(dataset->indices(Split::test).size()));
    EXPECT_EQ(result.step_ns.size(), result.step_images.size());
    EXPECT_EQ(result.step_ns.size(), 2u * 7u);
}

TEST(Trainer, LearnsTheTrainingSet) {
    Config config = small_run();
    config.train.epochs = 12;
    const TrainResult result = run_on(1, config);
    EXPECT_LT(result.history.back().train_loss, 0.8 * result.history.front().train_loss);
}

TEST(Trainer, TheCheckpointIsTheBestEpoch) {
    const Config config = small_run();
    const auto folder = std::filesystem::path(testing::TempDir()) / "xbench_trainer_checkpoint";
    std::filesystem::create_directories(folder);
    const auto dataset = open_dataset(config.data);
    const auto communicator = make_self_communicator();
    TrainOptions options;
    options.checkpoint_dir = folder;
    const TrainResult result = train(config, *dataset, *communicator, options);
    const WeightSet best = load_weights(folder);
    EXPECT_EQ(weights_hash(best), result.weights_hash);
    EXPECT_EQ(weights_hash(load_weights(folder / "last.safetensors")), result.final_weights_hash);

    const ModelDescription about = description_of(best, "checkpoint");
    const auto indices = dataset->indices(Split::test);
    const Predictions predictions = predict(build_model(about.model), best, *dataset, indices, 1, about.mean, about.std);
    const Metrics metrics = compute_metrics(predictions, about.class_names);
    EXPECT_EQ(metrics.confusion, result.test.confusion);
    EXPECT_NEAR(metrics.loss, result.test.loss, 1e-9);
    std::filesystem::remove_all(folder);
}

TEST(Trainer, ImpossibleSetupsAreRefused) {
    Config config = small_run();
    EXPECT_THROW(run_on(3, config), UsageError);  // the invariant tree needs a power of two
    config.train.virtual_ranks = 2;
    EXPECT_THROW(run_on(4, config), UsageError);
    config.train.virtual_ranks = 32;  // more than the batch
    EXPECT_THROW(run_on(1, config), UsageError);
}

TEST(Trainer, ALossThatIsNotANumberStopsTheRun) {
    Config config = small_run();
    config.train.learning_rate = 1e30;
    EXPECT_THROW(run_on(1, config), Error);
}

}  // namespace
}  // namespace xbench::test
