// Run under mpirun: the MPI communicator's collectives against exactly known sums, and training over all ranks against one
// process, bit for bit. Exit code 0 when everything holds.
#include <fmt/format.h>

#include <cmath>

#include "core/error.h"
#include "parallel/comm_mpi.h"
#include "tests/parallel/small_run.h"

namespace {

using namespace xbench;

int failures = 0;

void expect(bool condition, const Communicator& communicator, const std::string& what) {
    if (condition) return;
    ++failures;
    fmt::print("rank {} of {}: {}\n", communicator.rank(), communicator.size(), what);
}

// Sums of small integers are exact in any order.
void check_sums(Communicator& c, Reduction how, size_t count) {
    std::vector<float> numbers(count);
    for (size_t i = 0; i < count; ++i) numbers[i] = static_cast<float>((i % 97) * static_cast<size_t>(c.rank() + 1));
    c.all_reduce_sum(numbers.data(), count, how);
    const auto ranks = static_cast<size_t>(c.size());
    for (size_t i = 0; i < count; ++i)
        if (numbers[i] != static_cast<float>((i % 97) * ranks * (ranks + 1) / 2))
            return expect(false, c, fmt::format("sum of {} floats is wrong at {}", count, i));
}

// Sums that are rounded must have the bits of the tree: neighbours at distance 1, then 2, then 4.
void check_tree(Communicator& c) {
    const auto share = [](int rank, int i) { return 1.0 / (3.0 + rank * 7 + i); };
    std::vector<double> numbers(1000);
    for (int i = 0; i < 1000; ++i) numbers[static_cast<size_t>(i)] = share(c.rank(), i);
    c.all_reduce_sum(numbers.data(), numbers.size(), Reduction::invariant);
    for (int i = 0; i < 1000; ++i) {
        std::vector<double> level;
        for (int r = 0; r < c.size(); ++r) level.push_back(share(r, i));
        while (level.size() > 1) {
            for (size_t k = 0; k < level.size() / 2; ++k) level[k] = level[2 * k] + level[2 * k + 1];
            level.resize(level.size() / 2);
        }
        if (numbers[static_cast<size_t>(i)] != level[0]) return expect(false, c, "an invariant sum is not that of the tree");
    }
}

void check_others(Communicator& c) {
    std::vector<double> values{static_cast<double>(c.rank()), static_cast<double>(-c.rank())};
    c.all_reduce_max(values.data(), values.size());
    expect(values[0] == c.size() - 1 && values[1] == 0, c, "maximum");
    int number = c.rank() == c.size() - 1 ? 4711 : 0;
    c.broadcast(&number, sizeof number, c.size() - 1);
    expect(number == 4711, c, "broadcast");
    const std::vector<std::byte> mine(static_cast<size_t>(c.rank()), static_cast<std::byte>(c.rank()));
    const auto all = c.all_gather_bytes(mine);
    size_t at = 0;
    for (int r = 0; r < c.size(); ++r)
        for (int k = 0; k < r; ++k) expect(at < all.size() && all[at++] == static_cast<std::byte>(r), c, "gather");
    expect(at == all.size(), c, "gathered size");
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
    const auto communicator = make_mpi_communicator();
    try {
        const bool power_of_two = (communicator->size() & (communicator->size() - 1)) == 0;
        for (const size_t count : {size_t{1}, size_t{1000}, size_t{300000}}) {
            if (power_of_two) check_sums(*communicator, Reduction::invariant, count);
            check_sums(*communicator, Reduction::fast, count);
        }
        check_others(*communicator);
        if (power_of_two) {
            check_tree(*communicator);
            check_training(*communicator);
        }
        check_fast_training(*communicator);
    } catch (const Error& error) {
        fmt::print("rank {}: {}\n", communicator->rank(), error.what());
        communicator->abort(1);
    }
    return failures == 0 ? 0 : 1;
}
