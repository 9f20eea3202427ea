// The temperature in a run's best.safetensors: the one of its own predictions of the validation split, fitted once behind
// the training, however many ranks trained and whether the run was interrupted.
#include <gtest/gtest.h>

#include <cmath>

#include "eval/calibration.h"
#include "models/registry.h"
#include "parallel/checkpoint/checkpoint.h"
#include "parallel/train/inference.h"
#include "tests/parallel/feature_runs.h"
#include "tests/parallel/temporary_folder.h"

namespace xbench::test {
namespace {

const Feature epochs{"", [](TrainConfig& t) { t.epochs = 3, t.monitor = "val_loss"; }};

double temperature_of(const TemporaryFolder& folder) {
    return description_of(load_weights(folder.path() / "best.safetensors"), "best").temperature;
}

// What `eval` would fit.
double fitted(const TemporaryFolder& folder) {
    const WeightSet best = load_weights(folder.path() / "best.safetensors");
    const ModelDescription about = description_of(best, "best");
    const auto dataset = open_dataset(config_with(epochs).data);
    Cpu device;
    return fit_temperature(predict(build_model(about.model), best, about, *dataset, dataset->indices(Split::val), device));
}

TrainOptions options_in(const TemporaryFolder& folder) {
    TrainOptions options;
    options.checkpoint_dir = folder.path();
    options.resume = true;
    return options;
}

TEST(CalibratedRun, TheTemperatureIsThatOfItsPredictions) {
    const TemporaryFolder one, three;
    run_feature(epochs, 1, 0, options_in(one));
    ASSERT_FALSE(std::isnan(temperature_of(one)));
    EXPECT_EQ(temperature_of(one), fitted(one));
    run_feature(epochs, 3, 0, options_in(three));
    EXPECT_EQ(temperature_of(three), temperature_of(one));
}

TEST(CalibratedRun, NoEpochOfTheTrainingPaysForIt) {
    const TemporaryFolder folder;
    TrainOptions options = options_in(folder);
    int steps = 0;
    double inside = 0;
    options.stop = [&] {
        if (++steps == 9) inside = temperature_of(folder);  // in the second epoch
        return false;
    };
    run_feature(epochs, 1, 0, options);
    EXPECT_TRUE(std::isnan(inside));
    EXPECT_FALSE(std::isnan(temperature_of(folder)));
}

TEST(CalibratedRun, AnInterruptedOneHasItTooAndAResumedOneTheSame) {
    const TemporaryFolder whole, folder;
    run_feature(epochs, 1, 0, options_in(whole));
    TrainOptions options = options_in(folder);
    int steps = 0;
    options.stop = [&] { return ++steps == 9; };
    EXPECT_TRUE(run_feature(epochs, 2, 0, options).interrupted);
    EXPECT_EQ(temperature_of(folder), fitted(folder));
    options.stop = nullptr;
    EXPECT_FALSE(run_feature(epochs, 1, 0, options).interrupted);
    EXPECT_EQ(temperature_of(folder), temperature_of(whole));
    // Behind its last epoch nothing but the test is left: the best epoch is of an earlier process.
    EXPECT_FALSE(run_feature(epochs, 1, 0, options).interrupted);
    EXPECT_EQ(temperature_of(folder), temperature_of(whole));
}

}  // namespace
}  // namespace xbench::test
