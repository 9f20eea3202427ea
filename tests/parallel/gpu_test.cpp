// Whole trainings on GPUs: close to the CPU's, and of one weights_hash for any number of GPUs, replicated or sharded,
// resumed or not. Under CTest on the emulated GPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/error.h"
#include "data/datasets.h"
#include "kernels/cuda/devices.h"
#include "models/registry.h"
#include "parallel/train/inference.h"
#include "parallel/train/trainer.h"
#include "tests/parallel/small_run.h"
#include "tests/parallel/temporary_folder.h"
#include "tests/parallel/thread_communicator.h"

namespace xbench::test {
namespace {

struct Way {
    std::string name;
    int ranks = 1, stage = 0;
    void (*change)(Config&) = [](Config&) {};
};

Config config_of(void (*change)(Config&) = nullptr) {
    Config config = small_run();
    config.data.synthetic.count = 60;
    if (change) change(config);
    return config;
}

// Rank 0's result; each rank has a GPU of its own, or the CPU.
TrainResult train_on(const std::string& device_name, const Config& config, int ranks = 1, int stage = 0,
                     TrainOptions options = {}) {
    const auto dataset = open_dataset(config.data);
    TrainResult result;
    options.stage = stage;
    on_ranks(ranks, [&](Communicator& communicator) {
        TrainOptions mine = options;
        const auto device = make_device(device_name, 1, communicator.rank());
        mine.device = device.get();
        if (options.stop && communicator.rank() > 0) mine.stop = [] { return false; };
        TrainResult trained = train(config, *dataset, communicator, mine);
        if (communicator.rank() == 0) result = std::move(trained);
    });
    return result;
}

class GpuTraining : public testing::TestWithParam<Way> {
protected:
    void SetUp() override {
        setenv("XBENCH_EMULATED_GPUS", "4", 0);
        const GpuSystem system = query_gpus();
        if (!system.why_not.empty()) GTEST_SKIP() << system.why_not;
        gpus_ = static_cast<int>(system.gpus.size());
    }
    int gpus_ = 0;
};
using GpuTrainer = GpuTraining;

TEST_F(GpuTrainer, IsCloseToTheCpu) {
    const Config config = config_of();
    const TrainResult gpu = train_on("cuda", config), cpu = train_on("cpu", config);
    EXPECT_NE(gpu.weights_hash, cpu.weights_hash);
    ASSERT_EQ(gpu.history.size(), cpu.history.size());
    for (size_t epoch = 0; epoch < cpu.history.size(); ++epoch) {
        EXPECT_NEAR(gpu.history[epoch].train_loss, cpu.history[epoch].train_loss, 1e-4);
        EXPECT_NEAR(gpu.history[epoch].val_loss, cpu.history[epoch].val_loss, 1e-3);
    }
}

TEST_F(GpuTrainer, ACheckpointMovesBetweenCpuAndGpu) {
    const Config config = config_of();
    const TrainResult whole = train_on("cpu", config);
    for (const auto& [first, second] : {std::pair{"cpu", "cuda"}, std::pair{"cuda", "cpu"}}) {
        SCOPED_TRACE(std::string(first) + " to " + second);
        TemporaryFolder folder;
        TrainOptions options;
        options.checkpoint_dir = folder.path();
        int asked = 0;
        options.stop = [&] { return ++asked == 3; };
        EXPECT_TRUE(train_on(first, config, 1, 0, options).interrupted);
        options.stop = nullptr;
        options.resume = true;
        const TrainResult rest = train_on(second, config, 1, 0, options);
        EXPECT_EQ(rest.resumed_at, 3u);
        EXPECT_NEAR(rest.history.back().train_loss, whole.history.back().train_loss, 1e-4);
    }
}

const std::vector<Way> ways{{"two", 2},      {"three", 3},    {"four", 4},         {"zero1", 2, 1},
                            {"zero2", 2, 2}, {"zero3", 2, 3}, {"zero3_of_3", 3, 3}};

TEST_P(GpuTraining, HasTheBitsOfOneGpu) {
    const Way& way = GetParam();
    if (way.ranks > gpus_) GTEST_SKIP() << "there are " << gpus_ << " GPUs";
    static const TrainResult alone = train_on("cuda", config_of());
    const TrainResult actual = train_on("cuda", config_of(), way.ranks, way.stage);
    EXPECT_EQ(actual.weights_hash, alone.weights_hash);
    EXPECT_EQ(actual.final_weights_hash, alone.final_weights_hash);
}

INSTANTIATE_TEST_SUITE_P(Ways, GpuTraining, testing::ValuesIn(ways), [](const auto& way) { return way.param.name; });

}  // namespace
}  // namespace xbench::test
