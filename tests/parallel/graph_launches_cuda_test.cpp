// What a step that is replayed still tells the driver to launch, counted where a device hands its work to the driver: under
// CTest on the emulated GPU and over the double of NCCL. Ranks are threads.
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <utility>

#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/devices.h"
#include "models/registry.h"
#include "parallel/train/resolved_training.h"
#include "tests/parallel/rank_steps.h"
#include "tests/parallel/thread_communicator.h"

namespace xbench::test {
namespace {

// What one more step of this rank tells the driver to launch, once its steps are replayed, beside the graph.
int64_t launches_of_a_step(Communicator& ranks, const TrainConfig& config, int stage) {
    const std::unique_ptr<Device> device = make_cuda_device(ranks.rank());
    CudaQueue& queue = static_cast<CudaDevice&>(*device).queue();
    ModelConfig model;
    model.name = "pneumonia_cnn", model.widths = {4, 4, 4}, model.size = 16, model.classes = 3;
    const Graph graph = training_graph(resolve_model(model), config);
    RankSteps steps(graph, ranks, *device, {.stage = stage}, config);
    const auto step = [&] {
        steps.step();
        steps.training().take_exposed_ns();
    };
    for (int before = 0; before < 4; ++before) step();  // sampled, run, captured, replayed
    const int64_t launches = queue.launches(), replays = device->replays();
    step();
    EXPECT_EQ(device->replays(), replays + 1);
    return queue.launches() - launches;
}

TEST(GpuGraphLaunches, AStepThatIsReplayedIsOneLaunchWithItsUpdate) {
    setenv("XBENCH_EMULATED_GPUS", "4", 0);
    const GpuSystem system = query_gpus();
    if (!system.why_not.empty()) GTEST_SKIP() << system.why_not;
    for (const auto& [ranks, stage] : {std::pair{1, 0}, std::pair{2, 0}, std::pair{2, 1}, std::pair{2, 3}})
        for (const char* precision : {"fp32", "fp16"}) {
            if (ranks > static_cast<int>(system.gpus.size())) continue;
            SCOPED_TRACE(testing::Message() << ranks << " ranks, stage " << stage << ", " << precision);
            TrainConfig config = eight_images();
            config.precision = precision;
            config.ema_decay = 0.9;
            on_ranks(ranks, [&, stage = stage](Communicator& communicator) {
                EXPECT_EQ(launches_of_a_step(communicator, config, stage), 0);
            });
        }
    TrainConfig clipped = eight_images();
    clipped.clip_norm = 1;  // the host decides, so that the update comes behind the graph
    on_ranks(1, [&](Communicator& communicator) { EXPECT_GT(launches_of_a_step(communicator, clipped, 0), 0); });
}

}  // namespace
}  // namespace xbench::test
