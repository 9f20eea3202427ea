// One process for one command: the first process speaks, all end with the exit code of a usage error.
// The trainers compare the launcher's count with MPI's own.
#include "app/single_process.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "app/commands.h"
#include "core/error.h"
#include "core/launched.h"
#include "core/parallel_for.h"
#include "kernels/team.h"

namespace xbench {

void refuse_several(const std::string& command, const std::string& remedy) {
    const Launched here = launched();
    if (here.ranks == 1) return;
    if (here.rank > 0) throw ExitWith{ExitCode::usage};
    throw UsageError(fmt::format("started {} times by {} ({})", here.ranks, here.launcher, here.by), command, remedy);
}

void refuse_without_launcher(const std::string& trainer) {
    if (!launched().by.empty() || std::getenv("XBENCH_ONE_RANK") != nullptr) return;
    throw UsageError("no launcher started it: it would train alone, as one rank", "--trainer " + trainer,
                     "mpirun -n 2 xbench train ... for two ranks (mpirun -n 1 for one), or --trainer serial");
}

void say_if_crowded(int ranks, int threads, int cores) {
    if (static_cast<int64_t>(ranks) * threads <= cores) return;
    const auto counted = [](int n, const char* what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); };
    fmt::print(stderr, "note: {}{} on {}: they take turns, and the times say so\n",
               ranks == 1 ? "" : fmt::format("{} x ", counted(ranks, "rank")), counted(threads, "thread"),
               counted(cores, "core"));
}

int threads_to_use(int wanted) {
    if (wanted == 0) return std::min(usable_cores(), most_team_threads());
    say_if_crowded(1, wanted, usable_cores());
    return wanted;
}

}  // namespace xbench
