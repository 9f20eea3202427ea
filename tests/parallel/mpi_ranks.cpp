// Run under mpirun: the collectives over MPI, over shared memory and over both against exactly known sums, and training over
// all ranks against one process, bit for bit. XBENCH_NODE_OF_RANK makes several nodes of this one. Exit code 0 when
// everything holds.
#include <fmt/format.h>

#include <cmath>

#include "core/error.h"
#include "data/datasets.h"
#include "parallel/comm/comm_hierarchical.h"
#include "parallel/comm/comm_mpi.h"
#include "parallel/comm/comm_shm.h"
#include "tests/parallel/collectives.h"
#include "tests/parallel/small_run.h"
#include "tests/parallel/temporary_folder.h"

namespace {

using namespace xbench;

int failures = 0;

void expect(bool condition, const Communicator& communicator, const std::string& what) {
    if (condition) return;
    ++failures;
    fmt::print("rank {} of {}: {}\n", communicator.rank(), communicator.size(), what);
}

void expect_nothing(const std::string& wrong, const Communicator& communicator, const char* over) {
    expect(wrong.empty(), communicator, fmt::format("over {}: {}", over, wrong));
}

// DDP and every stage of ZeRO, with and without activation checkpointing and a thread that communicates.
void check_training(Communicator& c, const TrainResult& alone) {
    Config config = test::small_run();
    const auto dataset = open_dataset(config.data);
    const std::vector<int> nodes = c.nodes();
    const auto on_first = std::count(nodes.begin(), nodes.end(), nodes[0]);
    config.train.hybrid_sharding = on_first < c.size() && c.size() % on_first == 0;
    for (const bool checkpointing : {false, true})
        for (const int stage : {0, 1, 2, 3}) {
            config.train.activation_checkpointing = checkpointing;
            config.train.overlap = checkpointing && c.has_channels() ? "thread" : "auto";
            TrainOptions options;
            options.stage = stage;
            const TrainResult together = train(config, *dataset, c, options);
            const std::string what = fmt::format(" differs from that of one process over {} in stage {}{}", c.name(), stage,
                                                 checkpointing ? " with activation checkpointing and a thread" : "");
            expect(together.final_weights_hash == alone.final_weights_hash, c, "the weights' hash" + what);
            expect(together.test.loss == alone.test.loss, c, "the test loss" + what);
        }
}

// Each of these has the weights of one process: when gradients are reduced, threads, BatchNorm per virtual rank in one pass
// or several, sharded.
void check_variants(Communicator& c) {
    const auto self = make_self_communicator();
    for (const char* statistics : {"global", "local"}) {
        Config config = test::small_run();
        const auto dataset = open_dataset(config.data);
        config.train.batchnorm = statistics;
        const TrainResult alone = train(config, *dataset, *self, {});
        const auto expect_same = [&](int threads, const std::string& what, int stage = 0) {
            TrainOptions options;
            options.threads = threads;
            options.stage = stage;
            const TrainResult together = train(config, *dataset, c, options);
            expect(together.final_weights_hash == alone.final_weights_hash, c,
                   fmt::format("the weights' hash differs with {} statistics, {} over {}", statistics, what, c.name()));
        };
        for (const std::string overlap : {"none", "inline", "thread", "fused"}) {
            if (overlap == "thread" && !c.has_channels()) continue;
            if (overlap == "fused" && !c.shares_memory()) continue;
            config.train.overlap = overlap;
            expect_same(1, fmt::format("overlap {}", overlap));
        }
        config.train.overlap = "auto";
        expect_same(2, "two threads");
        if (std::string(statistics) == "global") continue;
        expect_same(1, "stage 3", 3);
        config.train.accumulate = 2;
        expect_same(1, "two passes");
        expect_same(1, "two passes in stage 3", 3);
    }
}

// Interrupted in one stage, gone on with in another.
void check_resume(Communicator& c, const TrainResult& alone, const std::filesystem::path& folder) {
    const Config config = test::small_run();
    const auto dataset = open_dataset(config.data);
    for (const int stage : {3, 0, 2, 1}) {
        TrainOptions options;
        options.stage = stage;
        options.checkpoint_dir = folder;
        options.resume = true;
        int asked = 0;
        options.stop = [&] { return ++asked == 4; };
        const TrainResult part = train(config, *dataset, c, options);
        if (stage != 1) expect(part.interrupted, c, "the run was not interrupted");
        if (stage == 1)
            expect(part.final_weights_hash == alone.final_weights_hash, c, "the weights differ after resuming in stage 1");
    }
}

// One for all ranks, removed by rank 0 behind them.
struct SharedFolder {
    explicit SharedFolder(Communicator& c) : communicator(c) {
        if (c.rank() == 0) own = std::make_unique<TemporaryFolder>();
        std::string name = own ? own->path().string() : "";
        name.resize(256);
        c.broadcast(name.data(), name.size(), 0);
        path = name.c_str();
    }
    ~SharedFolder() { communicator.barrier(); }
    Communicator& communicator;
    std::unique_ptr<TemporaryFolder> own;
    std::filesystem::path path;
};

void check_fast_training(Communicator& c) {
    Config config = test::small_run();
    config.train.reduction = "fast";
    const auto dataset = open_dataset(config.data);
    const TrainResult together = train(config, *dataset, c, {});
    const auto self = make_self_communicator();
    const TrainResult alone = train(config, *dataset, *self, {});
    expect(std::abs(together.history[0].train_loss - alone.history[0].train_loss) < 1e-3, c, "fast training went elsewhere");
}

}  // namespace

int main() {
    const std::shared_ptr<Communicator> communicator = make_mpi_communicator();
    try {
        expect_nothing(test::check_collectives(*communicator), *communicator, "MPI");
        const auto shared = make_shm_communicator(communicator, false);
        expect_nothing(test::check_collectives(*shared), *shared, "shared memory");
        const auto self = make_self_communicator();
        const TrainResult alone = train(test::small_run(), *open_dataset(test::small_run().data), *self, {});
        check_training(*communicator, alone);
        check_training(*shared, alone);
        check_resume(*shared, alone, SharedFolder(*shared).path);
        check_variants(*shared);
        check_fast_training(*communicator);
        check_fast_training(*shared);
        const auto nodes = connect_nodes(communicator->split(0), false);
        expect_nothing(test::check_collectives(*nodes), *nodes, nodes->name());
        check_training(*nodes, alone);
        check_variants(*nodes);
    } catch (const Error& error) {
        fmt::print("rank {}: {}\n", communicator->rank(), error.what());
        communicator->abort(1);
    }
    return failures == 0 ? 0 : 1;
}
