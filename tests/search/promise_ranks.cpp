// Run under mpirun: random trainings, each by one process and then in several ways over some of the ranks, by MPI alone, in
// shared memory, or both (XBENCH_NODE_OF_RANK makes several nodes of this one). Exit code 0 when each problem had one
// outcome. tests/search/search.h says how to search longer.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "core/error.h"
#include "parallel/comm/comm_hierarchical.h"
#include "parallel/comm/comm_mpi.h"
#include "tests/parallel/temporary_folder.h"
#include "tests/search/promise.h"

namespace {

using namespace xbench;
using namespace xbench::test;

std::string from_rank_0(Communicator& all, const std::string& text) {
    std::string common = text;
    auto length = static_cast<double>(all.rank() == 0 ? text.size() : 0);
    all.all_reduce_max(&length, 1);
    common.resize(static_cast<size_t>(length));
    all.broadcast(common.data(), common.size(), 0);
    return common;
}

bool equal_nodes(const std::vector<int>& nodes) {
    for (const int node : nodes)
        if (std::count(nodes.begin(), nodes.end(), node) != std::count(nodes.begin(), nodes.end(), nodes[0])) return false;
    return true;
}

// The outcome on rank 0; nothing elsewhere.
std::string outcome(Communicator& all, const test::Problem& problem, const Way& way, bool by_mpi_alone) {
    const std::unique_ptr<TemporaryFolder> own = all.rank() == 0 ? std::make_unique<TemporaryFolder>() : nullptr;
    const std::string checkpoints = from_rank_0(all, own ? own->path().string() : "");
    std::string said;
    for (Part part : way.parts) {
        const bool inside = all.rank() < part.ranks;
        std::unique_ptr<Communicator> ranks = all.split(inside ? 0 : 1);
        if (inside) {
            if (!by_mpi_alone) ranks = connect_nodes(std::move(ranks), false);
            part.hybrid = part.hybrid && equal_nodes(ranks->nodes());
            const TrainResult result = train_part(problem, way, part, checkpoints, *ranks);
            if (all.rank() == 0) said = outcome_of(result);
        }
        all.barrier();
    }
    return said;
}

// False where two ways differ.
bool hold(Communicator& all, const Search& search) {
    Draw draw = search.draw();
    const test::Problem problem = draw_problem(draw);
    if (all.rank() == 0) search.announce(to_string(problem));
    const Way plain{1, {Part{}}};
    const auto self = make_self_communicator();
    const TrainResult one = train_part(problem, plain, plain.parts[0], {}, *self);
    bool good = true;
    for (int i = 0; i < 4; ++i) {
        const Way way = draw_way(draw, problem, one.steps_done, all.size());
        const bool by_mpi_alone = draw.chance(0.3);
        const std::string about = to_string(way) + (by_mpi_alone ? " by MPI alone" : "");
        if (all.rank() == 0) fmt::print("    {}\n", about);
        std::fflush(stdout);
        const std::string said = outcome(all, problem, way, by_mpi_alone);
        if (all.rank() != 0 || said == outcome_of(one)) continue;
        fmt::print("differs: {}\n  one process: {}\n  {}\n", about, outcome_of(one), said);
        good = false;
    }
    return from_rank_0(all, good ? "yes" : "no!") == "yes";
}

}  // namespace

int main() {
    const std::unique_ptr<Communicator> all = make_mpi_communicator();
    bool good = true;
    try {
        Search search{SearchBudget(30)};
        const auto more = [&] {  // asked on every rank, which keeps their numbers of the case equal; rank 0's clock decides
            return from_rank_0(*all, search.more() ? "more" : "done") == "more";
        };
        while (good && more()) good = hold(*all, search);
    } catch (const Error& error) {
        fmt::print("rank {}: {}\n", all->rank(), error.what());
        std::fflush(stdout);
        all->abort(1);
    }
    return good ? 0 : 1;
}
