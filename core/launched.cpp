// The launchers as a table, innermost first. PMIx alone names no number of processes; the launchers that speak it set
// variables of their own beside it.
#include "core/launched.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "core/error.h"

namespace xbench {
namespace {

struct LauncherVariables {
    const char *launcher, *ranks, *rank, *on_node, *local;
};

constexpr std::array launchers{
    LauncherVariables{"Open MPI's mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE",
                      "OMPI_COMM_WORLD_LOCAL_RANK"},
    LauncherVariables{"MVAPICH's launcher", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_LOCAL_SIZE",
                      "MV2_COMM_WORLD_LOCAL_RANK"},
    LauncherVariables{"MPICH's mpiexec (PMI)", "PMI_SIZE", "PMI_RANK", "MPI_LOCALNRANKS", "MPI_LOCALRANKID"},
    LauncherVariables{"Flux", "FLUX_JOB_SIZE", "FLUX_TASK_RANK", "", "FLUX_TASK_LOCAL_ID"},
    LauncherVariables{"IBM's jsrun", "JSM_NAMESPACE_SIZE", "JSM_NAMESPACE_RANK", "JSM_NAMESPACE_LOCAL_SIZE",
                      "JSM_NAMESPACE_LOCAL_RANK"},
    // torchrun, and scripts that start the ranks themselves.
    LauncherVariables{"a launcher that sets RANK", "WORLD_SIZE", "RANK", "LOCAL_WORLD_SIZE", "LOCAL_RANK"},
    // "4(x2),3": tasks of each node of the step; all nodes of a step that xbench starts have equally many or fewer.
    LauncherVariables{"srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_STEP_TASKS_PER_NODE", "SLURM_LOCALID"},
};

int number(const char* name, int otherwise) {
    const char* value = std::getenv(name);
    return value != nullptr && *value >= '0' && *value <= '9' ? std::atoi(value) : otherwise;
}

}  // namespace

Launched launched() {
    for (const LauncherVariables& l : launchers) {
        const int ranks = number(l.ranks, 0);
        const bool is_job = std::string_view(l.ranks) != "WORLD_SIZE" || std::getenv(l.rank) != nullptr;
        if (ranks <= 0 || !is_job) continue;
        const bool by_slurm =
            std::string_view(l.ranks) == "PMI_SIZE" && !std::getenv(l.local) && number("SLURM_STEP_NUM_TASKS", 0) == ranks;
        if (by_slurm) continue;  // srun --mpi=pmi2, which says the places on a node in variables of its own
        return {l.ranks, l.launcher, ranks, number(l.rank, 0), std::max(1, number(l.on_node, 1)), number(l.local, 0)};
    }
    // Tasks beyond the first exist in a step only; a batch script's own shell has SLURM_PROCID=0 and SLURM_NTASKS as well.
    if (const int rank = number("SLURM_PROCID", 0); rank > 0)
        return {"SLURM_PROCID", "srun", std::max(rank + 1, number("SLURM_NTASKS", 1)), rank, 1, number("SLURM_LOCALID", 0)};
    if (std::getenv("PMIX_RANK") != nullptr) return {"PMIX_RANK", "a PMIx launcher", 1, number("PMIX_RANK", 0), 1, 0};
    return {};
}

Copies copies_from_environment() {
    const char* value = std::getenv("XBENCH_COPY");
    const char* slash = value != nullptr ? std::strchr(value, '/') : nullptr;
    if (slash == nullptr) return {};
    const Copies copies{std::atoi(value), std::atoi(slash + 1)};
    return copies.index >= 0 && copies.index < copies.count ? copies : Copies{};
}

bool has_mpi_launcher() {
    constexpr std::array of_mpi{"OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_FD", "PMIX_RANK",
                                "FLUX_JOB_SIZE",        "JSM_NAMESPACE_SIZE"};
    if (launched().by == "WORLD_SIZE") return false;  // ranks of a script, which may run inside of a step that speaks to MPI
    return std::any_of(of_mpi.begin(), of_mpi.end(), [](const char* name) { return std::getenv(name) != nullptr; });
}

void check_world(const Launched& launched, int world) {
    if (launched.ranks <= world) return;
    throw UsageError(fmt::format("{} started {} processes ({}), but MPI sees {}: they do not know each other",
                                 launched.launcher, launched.ranks, launched.by, world),
                     "MPI",
                     launched.launcher == "srun"
                         ? "use srun --mpi=pmix (`srun --mpi=list` shows what there is), or mpirun inside the allocation"
                         : "start it with the mpirun of the MPI that xbench was built with; `xbench doctor` names it");
}

}  // namespace xbench
