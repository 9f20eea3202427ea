// Run under mpirun: the time of a training step of DDP and of ZeRO stages 1 to 3, of the same model over the same ranks,
// taken in turns so that a drift of the machine meets all alike. Prints medians and their ratios to DDP's. A measuring tool,
// no test: results/sharding has its figures.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <memory>

#include "core/error.h"
#include "models/registry.h"
#include "parallel/comm/setups.h"
#include "tests/parallel/rank_steps.h"
#include "tests/plan/equal_units.h"

namespace {

using namespace xbench;

constexpr int stages = 4;

double median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

void measure(const Graph& graph, int64_t batch, double seconds, Communicator& communicator) {
    TrainConfig config = test::eight_images();
    config.batch_size = batch;
    std::vector<std::unique_ptr<test::RankSteps>> runs;
    for (int stage = 0; stage < stages; ++stage)
        runs.push_back(std::make_unique<test::RankSteps>(graph, communicator, stage, config));
    std::array<std::vector<double>, stages> milliseconds, exposed;
    const auto start = std::chrono::steady_clock::now();
    const auto since = [](auto before) {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
    };
    for (double enough = 0; enough == 0;) {
        for (size_t stage = 0; stage < stages; ++stage) {
            communicator.barrier();
            const auto before = std::chrono::steady_clock::now();
            runs[stage]->step();
            communicator.barrier();  // the slowest rank's time
            milliseconds[stage].push_back(since(before) * 1e3);
            exposed[stage].push_back(static_cast<double>(runs[stage]->strategy().take_exposed_ns()) * 1e-6);
        }
        enough = since(start) > seconds ? 1 : 0;
        communicator.all_reduce_max(&enough, 1);
    }
    if (communicator.rank() != 0) return;
    const double ddp = median(milliseconds[0]);
    fmt::print("{}, batch {}, {} ranks over {}, {} steps of each\n", graph.name, batch, communicator.size(),
               communicator.name(), milliseconds[0].size());
    for (size_t stage = 0; stage < stages; ++stage)
        fmt::print("  {:<8} {:9.3f} ms  {:.3f} of DDP  communication {:.3f} ms\n",
                   stage == 0 ? "DDP" : fmt::format("stage {}", stage), median(milliseconds[stage]),
                   median(milliseconds[stage]) / ddp, median(exposed[stage]));
}

}  // namespace

int main(int argc, char** argv) {
    const double seconds = argc > 1 ? std::atof(argv[1]) : 10;
    const Binding binding = bind_this_process(local_rank_from_environment(), ranks_on_node_from_environment(), 1);
    const auto communicator = find_setup("sharded").connect({binding, std::make_shared<WaitLimit>()});
    try {
        ModelConfig rsna;
        rsna.name = "rsna_cnn";
        measure(build_model(rsna), 32, seconds, *communicator);
        measure(test::equal_units(32, 16), 32, seconds, *communicator);
    } catch (const Error& error) {
        fmt::print("rank {}: {}\n", communicator->rank(), error.what());
        communicator->abort(1);
    }
    return 0;
}
