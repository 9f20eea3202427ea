// Whole trainings on GPUs: close to the CPU's, and of one weights_hash for any number of GPUs, replicated or sharded, over
// NCCL or through the host, replayed from graphs or not, resumed or not. Ranks are threads; under CTest on the emulated GPU
// and over the double of NCCL.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "data/datasets.h"
#include "kernels/cuda/devices.h"
#include "models/registry.h"
#include "parallel/train/inference.h"
#include "parallel/train/resolved_training.h"
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

// Interrupted within an epoch on some GPUs in one stage, and resumed on others in another: with everything that a checkpoint
// has to carry, the average of the weights, moments, loss scale and a schedule that counts steps.
struct Handover {
    int ranks, stage, then_ranks, then_stage;
};
class GpuHandover : public testing::TestWithParam<Handover> {};

TEST_P(GpuHandover, HasTheBitsOfOneGpu) {
    setenv("XBENCH_EMULATED_GPUS", "4", 0);
    const Handover& h = GetParam();
    const int gpus_here = static_cast<int>(query_gpus().gpus.size());
    if (std::max(h.ranks, h.then_ranks) > gpus_here) GTEST_SKIP() << "there are " << gpus_here << " GPUs";
    Way way{"", h.ranks, h.stage, 1, [](Config& c) {
                c.data.synthetic.count = 60, c.train.ema_decay = 0.9, c.train.precision = "fp16";
                c.train.lr_schedule = "cosine", c.train.lr_interval = "step", c.train.warmup_steps = 2;
            }};
    TemporaryFolder folder;
    TrainOptions options;
    options.checkpoint_dir = folder.path();
    int asked = 0;
    options.stop = [&] { return ++asked == 3; };
    EXPECT_TRUE(train_on(way, gpus, options).interrupted);
    options.stop = nullptr;
    options.resume = true;
    way.ranks = h.then_ranks, way.stage = h.then_stage;
    const TrainResult rest = train_on(way, gpus, options);
    EXPECT_EQ(rest.resumed_at, 3u);
    way.ranks = 1, way.stage = 0;
    EXPECT_EQ(rest.final_weights_hash, train_on(way, gpus).final_weights_hash);
}

INSTANTIATE_TEST_SUITE_P(Ways, GpuHandover,
                         testing::Values(Handover{2, 0, 1, 0}, Handover{2, 0, 3, 3}, Handover{3, 1, 2, 0},
                                         Handover{2, 2, 4, 1}, Handover{1, 0, 2, 3}, Handover{3, 3, 2, 2}),
                         [](const auto& h) {
                             const Handover& from = h.param;
                             return fmt::format("{}_stage{}_then_{}_stage{}", from.ranks, from.stage, from.then_ranks,
                                                from.then_stage);
                         });

TEST_F(GpuTrainer, ACheckpointGoesOnWhereItWasTaken) {
    for (const auto& [ranks, stage] : {std::pair{1, 0}, std::pair{2, 0}, std::pair{3, 1}, std::pair{2, 3}}) {
        if (ranks > gpus_) continue;
        SCOPED_TRACE(testing::Message() << ranks << " ranks, stage " << stage);
        Way way = small_way();
        way.ranks = ranks;
        way.stage = stage;
        TemporaryFolder folder;
        TrainOptions options;
        options.checkpoint_dir = folder.path();
        int asked = 0;
        options.stop = [&] { return ++asked == 4; };  // within graphs that are replayed
        EXPECT_TRUE(train_on(way, gpus, options).interrupted);
        options.stop = nullptr;
        options.resume = true;
        const TrainResult rest = train_on(way, gpus, options), whole = train_on(way, gpus);
        EXPECT_EQ(rest.resumed_at, 4u);
        EXPECT_EQ(rest.weights_hash, whole.weights_hash);
        EXPECT_EQ(rest.final_weights_hash, whole.final_weights_hash);
        EXPECT_EQ(rest.history.back().val_loss, whole.history.back().val_loss);
    }
}

// Of the device's memory: the batches too, which lie there as well.
TEST_F(GpuTrainer, PredictedMemoryIsWhatIsCounted) {
    for (const int ranks : {1, 2, 3})
        for (const int stage : {0, 1, 2, 3}) {
            if (ranks > gpus_ || (ranks == 1 && stage > 0)) continue;
            Way way = small_way();
            way.ranks = ranks;
            way.stage = stage;
            const TrainResult result = train_on(way, gpus);
            for (const MemoryCategory category : {MemoryCategory::parameters, MemoryCategory::gradients,
                                                  MemoryCategory::optimizer, MemoryCategory::activations}) {
                const auto predicted = static_cast<double>(result.memory_predicted[category]);
                EXPECT_NEAR(static_cast<double>(result.memory_in_steps[category]), predicted, 0.05 * predicted)
                    << name_of(category) << ", stage " << stage << ", " << ranks << " ranks";
            }
        }
}

// Of all ranks together.
TrainResult train_and_count_replays(const Way& way, bool may_replay, int64_t& replays) {
    std::atomic<int64_t> counted{0};
    const DeviceOfRank make = [&](int rank) {
        auto device = make_cuda_device(rank);
        device->allow_replays(may_replay);
        return device;
    };
    TrainResult result = train_on(way, make, {}, [&](Device* device) { counted += device->replays(); });
    replays = counted;
    return result;
}

void short_steps(Config& config) { config.data.synthetic.count = 60, config.train.epochs = 3; }
void short_steps_in_blocks(Config& config) { short_steps(config), config.train.virtual_ranks = 6; }
void short_steps_with_batchnorm(Config& config) {
    make_deep(config);
    config.model.widths = {4, 4};
    config.data.synthetic.count = 80, config.train.epochs = 2;
}

TEST_F(GpuTrainer, CapturedAndUncapturedStepsHaveTheSameBits) {
    for (const auto& change : {short_steps, short_steps_in_blocks}) {
        int64_t captured = 0, uncaptured = 0;
        const std::string hash = train_and_count_replays({"", 1, 0, 1, change}, true, captured).final_weights_hash;
        EXPECT_EQ(train_and_count_replays({"", 1, 0, 1, change}, false, uncaptured).final_weights_hash, hash);
        EXPECT_GT(captured, 0);
        EXPECT_EQ(uncaptured, 0);
    }
}

// Buckets and units are communicated in an order of their own that is a branch of the graph.
TEST_F(GpuTrainer, StepsOfSeveralRanksAreCapturedWithTheSameBits) {
    const Way ways_to_compare[]{
        {"ddp", 0, 0, 1, short_steps},
        {"ddp_batchnorm", 0, 0, 1, short_steps_with_batchnorm},
        {"ddp_average", 0, 0, 1, [](Config& c) { short_steps_with_batchnorm(c), c.train.ema_decay = 0.9; }},
        {"zero3_average", 0, 3, 1, [](Config& c) { short_steps_with_batchnorm(c), c.train.ema_decay = 0.9; }},
        {"ddp_inline", 0, 0, 1, [](Config& c) { short_steps(c), c.train.overlap = "inline"; }},
        {"ddp_none", 0, 0, 1, [](Config& c) { short_steps(c), c.train.overlap = "none"; }},
        {"zero1", 0, 1, 1, short_steps},
        {"zero2", 0, 2, 1, short_steps},
        {"zero3", 0, 3, 1, short_steps_with_batchnorm},
        {"zero3_inline", 0, 3, 1, [](Config& c) { short_steps(c), c.train.overlap = "inline"; }}};
    for (Way way : ways_to_compare) {
        int64_t replays = 0;
        way.ranks = 1;
        const std::string hash = train_and_count_replays(way, false, replays).final_weights_hash;
        for (way.ranks = 2; way.ranks <= std::min(gpus_, 4); ++way.ranks)
            for (const bool captured : {true, false}) {
                if (!captured && way.ranks > 2) continue;
                SCOPED_TRACE(testing::Message() << way.name << ", " << way.ranks << " ranks, captured " << captured);
                const TrainResult result = train_and_count_replays(way, captured, replays);
                EXPECT_EQ(result.final_weights_hash, hash);
                EXPECT_EQ(result.communicator, "nccl");
                const bool beside = way.name.find("inline") == std::string::npos && way.name != "ddp_none";
                EXPECT_EQ(result.overlap == "stream", beside) << result.overlap;
                EXPECT_EQ(replays > way.ranks, captured) << replays;
            }
    }
}

TEST_F(GpuTrainer, ThroughTheHostTheBitsAreTheSame) {
    if (gpus_ < 2) GTEST_SKIP() << "there is one GPU";
    Way two = small_way();
    two.ranks = 2;
    setenv("XBENCH_NO_NCCL", "1", 1);
    const TrainResult staged = train_on(two, gpus);
    unsetenv("XBENCH_NO_NCCL");
    EXPECT_EQ(staged.communicator, "staged threads");
    EXPECT_EQ(staged.weights_hash, train_on(two, gpus).weights_hash);
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
