// The table of trainers.
#include "parallel/comm/setups.h"

#include <array>
#include <vector>

#include "core/error.h"
#include "core/nearest.h"
#if XB_HAVE_MPI
#include "parallel/comm/comm_hierarchical.h"
#include "parallel/comm/comm_mpi.h"
#endif

namespace xbench {
namespace {

std::unique_ptr<Communicator> connect_self(const Connecting&) { return make_self_communicator(); }

#if XB_HAVE_MPI
// MPI starts the ranks; those of one node then talk through shared memory.
std::unique_ptr<Communicator> connect_ranks(const Connecting& how) {
    return connect_nodes(make_mpi_communicator(how.limit), how.binding.bound && !how.binding.oversubscribed, how.note);
}
#endif

}  // namespace

std::span<const TrainerSetup> trainer_setups() {
    static const std::array table {
        TrainerSetup{"serial", "cpu", "self", true, "", connect_self},
#if XB_HAVE_MPI
            TrainerSetup{"cpu_ddp", "cpu", "mpi", true, "", connect_ranks},
            TrainerSetup{"sharded", "cpu", "mpi", true, "", connect_ranks},
#else
            TrainerSetup{"cpu_ddp", "cpu", "mpi", false, "this build has no MPI", nullptr},
            TrainerSetup{"sharded", "cpu", "mpi", false, "this build has no MPI", nullptr},
#endif
            TrainerSetup{"gpu_ddp", "cuda", "nccl", false, "this version has no CUDA kernels yet", nullptr},
    };
    return table;
}

MpiConnector mpi_connector() {
#if XB_HAVE_MPI
    return [] { return make_mpi_communicator(); };
#else
    return nullptr;
#endif
}

const TrainerSetup& find_setup(const std::string& name) {
    std::vector<std::string> names;
    for (const TrainerSetup& setup : trainer_setups()) {
        if (setup.name == name) return setup;
        names.push_back(setup.name);
    }
    const std::string close = nearest(name, names);
    throw UsageError("unknown trainer " + name, "trainer",
                     close.empty() ? "trainers are serial, cpu_ddp, gpu_ddp and sharded" : "did you mean " + close + "?");
}

}  // namespace xbench
