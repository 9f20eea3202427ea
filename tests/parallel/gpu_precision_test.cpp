// Trainings on GPUs whose convolutions and linear layers multiply on the tensor cores, bf16 and tf32, with images in nhwc:
// one weights_hash for one and two GPUs, a loss that falls, and close to the training in fp32. Under CTest on the emulated
// GPU.
#include <gtest/gtest.h>

#include <cstdlib>

#include "kernels/cuda/devices.h"
#include "tests/parallel/training_ways.h"

namespace xbench::test {
namespace {

const DeviceOfRank gpus = [](int rank) { return make_cuda_device(rank); };

struct Precision {
    const char* name;
    double of_losses;  // how far a loss may be from that of fp32: some of the type's rounding, 2^-8 and 2^-11
};

class GpuPrecisions : public testing::TestWithParam<Precision> {
protected:
    void SetUp() override {
        setenv("XBENCH_EMULATED_GPUS", "4", 0);
        setenv("XBENCH_NO_NCCL", "1", 0);  // ranks are threads here
        const GpuSystem system = query_gpus();
        if (!system.why_not.empty()) GTEST_SKIP() << system.why_not;
        gpus_ = static_cast<int>(system.gpus.size());
    }
    static Way training(int ranks) {
        return {"pneumonia", ranks, 0, 1, [](Config& c) {
                    c.model.widths.clear();  // the model's own
                    c.data.synthetic.size = 32, c.data.synthetic.count = 92;
                    c.train.epochs = 3;
                }};
    }
    static TrainResult train_in(const char* precision, int ranks) {
        static const char* now = "";
        now = precision;
        Way way = training(ranks);
        way.change = [](Config& c) { training(1).change(c), c.train.precision = now; };
        return train_on(way, gpus);
    }
    int gpus_ = 0;
};

TEST_P(GpuPrecisions, LearnAsFp32Does) {
    const TrainResult exact = train_in("fp32", 1), rounded = train_in(GetParam().name, 1);
    EXPECT_NE(rounded.final_weights_hash, exact.final_weights_hash);
    ASSERT_EQ(rounded.history.size(), exact.history.size());
    EXPECT_LT(rounded.history.back().train_loss, 0.9 * rounded.history.front().train_loss);
    for (size_t epoch = 0; epoch < exact.history.size(); ++epoch)
        EXPECT_NEAR(rounded.history[epoch].train_loss, exact.history[epoch].train_loss, GetParam().of_losses)
            << "epoch " << epoch;
}

TEST_P(GpuPrecisions, TwoGpusHaveTheBitsOfOne) {
    if (gpus_ < 2) GTEST_SKIP() << "there is one GPU";
    EXPECT_EQ(train_in(GetParam().name, 2).final_weights_hash, train_in(GetParam().name, 1).final_weights_hash);
}

INSTANTIATE_TEST_SUITE_P(Types, GpuPrecisions, testing::Values(Precision{"bf16", 2e-2}, Precision{"tf32", 3e-3}),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace xbench::test
