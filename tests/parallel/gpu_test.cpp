// Whole trainings on GPUs: close to the CPU's, and of one weights_hash for any number of GPUs, replicated or sharded,
// resumed or not. Under CTest on the emulated GPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "data/datasets.h"
#include "kernels/cuda/devices.h"
#include "parallel/train/inference.h"
#include "parallel/train/trainer.h"
#include "tests/parallel/temporary_folder.h"
#include "tests/parallel/training_ways.h"

namespace xbench::test {
namespace {

const DeviceOfRank gpus = [](int rank) { return make_cuda_device(rank); };

Way small_way(const char* name = "small") {
    return {name, 1, 0, 1, [](Config& c) { c.data.synthetic.count = 60; }};
}

class GpuTraining : public testing::TestWithParam<Way> {
protected:
    void SetUp() override {
        setenv("XBENCH_EMULATED_GPUS", "4", 0);
        setenv("XBENCH_NO_NCCL", "1", 0);  // ranks are threads here; tests/bench/gpu_job_test.sh has processes and NCCL
        const GpuSystem system = query_gpus();
        if (!system.why_not.empty()) GTEST_SKIP() << system.why_not;
        gpus_ = static_cast<int>(system.gpus.size());
    }
    int gpus_ = 0;
};
using GpuTrainer = GpuTraining;

TEST_F(GpuTrainer, IsCloseToTheCpu) {
    const TrainResult gpu = train_on(small_way(), gpus), cpu = train_on(small_way(), nullptr);
    EXPECT_NE(gpu.weights_hash, cpu.weights_hash);
    EXPECT_EQ(gpu.isa.substr(0, 18), "compute capability");
    ASSERT_EQ(gpu.history.size(), cpu.history.size());
    for (size_t epoch = 0; epoch < cpu.history.size(); ++epoch) {
        EXPECT_NEAR(gpu.history[epoch].train_loss, cpu.history[epoch].train_loss, 1e-4);
        // Biases in front of a normalisation have no gradient but rounding errors, from which Adam makes whole steps: the
        // running means follow them late.
        EXPECT_NEAR(gpu.history[epoch].val_loss, cpu.history[epoch].val_loss, 1e-2);
    }
}

TEST_F(GpuTrainer, ACheckpointMovesBetweenCpuAndGpu) {
    const TrainResult whole = train_on(small_way(), nullptr);
    for (const bool gpu_first : {false, true}) {
        SCOPED_TRACE(gpu_first ? "GPU to CPU" : "CPU to GPU");
        TemporaryFolder folder;
        TrainOptions options;
        options.checkpoint_dir = folder.path();
        int asked = 0;
        options.stop = [&] { return ++asked == 3; };
        EXPECT_TRUE(train_on(small_way(), gpu_first ? gpus : nullptr, options).interrupted);
        options.stop = nullptr;
        options.resume = true;
        const TrainResult rest = train_on(small_way(), gpu_first ? nullptr : gpus, options);
        EXPECT_EQ(rest.resumed_at, 3u);
        EXPECT_NEAR(rest.history.back().train_loss, whole.history.back().train_loss, 1e-4);
    }
}

TEST_F(GpuTrainer, GoesOnWithAnotherNumberOfGpus) {
    if (gpus_ < 2) GTEST_SKIP() << "there is one GPU";
    Way two = small_way();
    two.ranks = 2;
    Way sharded = two;
    sharded.stage = 3;
    TemporaryFolder folder;
    TrainOptions options;
    options.checkpoint_dir = folder.path();
    int asked = 0;
    options.stop = [&] { return ++asked == 3; };
    EXPECT_TRUE(train_on(two, gpus, options).interrupted);
    options.stop = nullptr;
    options.resume = true;
    EXPECT_EQ(train_on(sharded, gpus, options).weights_hash, train_on(small_way(), gpus).weights_hash);
}

TEST_F(GpuTrainer, CapturedAndUncapturedStepsHaveTheSameBits) {
    for (const bool blocks : {false, true}) {
        Way way{"", 1, 0, 1, [](Config& c) { c.data.synthetic.count = 60, c.train.epochs = 3; }};
        if (blocks)
            way.change = [](Config& c) { c.data.synthetic.count = 60, c.train.epochs = 3, c.train.virtual_ranks = 6; };
        std::vector<std::string> hashes;
        for (const bool captured : {true, false})
            hashes.push_back(train_on(way, [&](int rank) {
                                 auto device = make_cuda_device(rank);
                                 device->allow_replays(captured);
                                 return device;
                             }).final_weights_hash);
        EXPECT_EQ(hashes[0], hashes[1]) << (blocks ? "two blocks of leaves" : "one block");
    }
}

// Every way to train that GPUs have, against one GPU that is alone.
TEST_P(GpuTraining, HasTheBitsOfOneGpu) {
    const Way& way = GetParam();
    if (way.ranks > gpus_) GTEST_SKIP() << "there are " << gpus_ << " GPUs";
    Way alone = way;
    alone.ranks = 1, alone.stage = 0, alone.ranks_of_node = 0;
    const TrainResult actual = train_on(way, gpus), expected = train_on(alone, gpus);
    EXPECT_EQ(actual.weights_hash, expected.weights_hash);
    EXPECT_EQ(actual.final_weights_hash, expected.final_weights_hash);
    EXPECT_EQ(to_json(actual.test).dump(1), to_json(expected.test).dump(1));
}

std::vector<Way> ways_of_several_gpus() {
    std::vector<Way> all;
    for (const Way& way : ways)
        if (way.ranks > 1 && way.name != "fast") all.push_back(way);  // whose bits depend on the ranks
    all.push_back({"four", 4});
    all.push_back({"fp16_zero3", 2, 3, 1, [](Config& c) { make_deep(c), c.train.precision = "fp16"; }});
    return all;
}

INSTANTIATE_TEST_SUITE_P(Ways, GpuTraining, testing::ValuesIn(ways_of_several_gpus()),
                         [](const auto& way) { return way.param.name; });

}  // namespace
}  // namespace xbench::test
