// Run under mpirun: the collectives over MPI, over shared memory and over both against exactly known sums, and training over
// all ranks against one process, bit for bit. XBENCH_NODE_OF_RANK makes several nodes of this one. Exit code 0 when
// everything holds.
#include <fmt/format.h>

#include <cmath>

#include "core/error.h"
#include "parallel/comm_hierarchical.h"
#include "parallel/comm_mpi.h"
#include "parallel/comm_shm.h"
#include "tests/parallel/collectives.h"
#include "tests/parallel/small_run.h"

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

void check_training(Communicator& c) {
    const Config config = test::small_run();
    const auto dataset = open_dataset(config.data);
    const TrainResult together = train(config, *dataset, c, {});
    const auto self = make_self_communicator();
    const TrainResult alone = train(config, *dataset, *self, {});
    expect(together.final_weights_hash == alone.final_weights_hash, c, "the weights differ from those of one process");
    expect(together.test.loss == alone.test.loss, c, "the test loss differs from that of one process");
}

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
        check_training(*communicator);
        check_fast_training(*communicator);
        const auto nodes = connect_nodes(communicator->split(0), false);
        expect_nothing(test::check_collectives(*nodes), *nodes, nodes->name());
        check_training(*nodes);
    } catch (const Error& error) {
        fmt::print("rank {}: {}\n", communicator->rank(), error.what());
        communicator->abort(1);
    }
    return failures == 0 ? 0 : 1;
}
