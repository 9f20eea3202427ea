// The table of trainers.
#include "parallel/comm/setups.h"

#include <array>
#include <cstdlib>
#include <vector>

#include "core/error.h"
#include "core/launched.h"
#include "core/nearest.h"
#include "kernels/cuda/devices.h"
#include "parallel/comm/comm_hierarchical.h"
#include "parallel/comm/comm_tcp.h"
#include "parallel/comm/rendezvous.h"
#if XB_HAVE_MPI
#include "parallel/comm/comm_mpi.h"
#endif

namespace xbench {
namespace {

std::unique_ptr<Communicator> connect_self(const Connecting&) { return make_self_communicator(); }

#if XB_HAVE_MPI
bool is_open_mpi() { return mpi_library_version().starts_with("Open MPI"); }

// MPI starts the ranks; those of one node then talk through shared memory.
std::unique_ptr<Communicator> connect_ranks(const Connecting& how) {
    return connect_nodes(make_mpi_communicator(how.limit), how.binding.bound && !how.binding.oversubscribed, how.note);
}
#else
bool is_open_mpi() { return false; }
#endif

// Ranks with a GPU each need MPI for nothing but to know each other: where nobody has started it, or Slurm by a PMI that
// this MPI does not speak, they meet without it.
std::unique_ptr<Communicator> connect_gpus(const Connecting& how) {
    const Launched here = launched();
    const bool without_mpi =
        !XB_HAVE_MPI || std::getenv("XBENCH_RENDEZVOUS") || !has_mpi_launcher() || (has_only_pmi2() && is_open_mpi());
    if (without_mpi && here.ranks == 1) return make_self_communicator();
    if (without_mpi)
        return connect_nodes(make_tcp_communicator(here.rank, here.ranks, *choose_meeting(), how.limit),
                             how.binding.bound && !how.binding.oversubscribed, how.note);
#if XB_HAVE_MPI
    return connect_ranks(how);
#else
    return make_self_communicator();
#endif
}

}  // namespace

std::span<const TrainerSetup> trainer_setups() {
#if XB_HAVE_MPI
    constexpr bool has_mpi = true;
    constexpr const char* no_mpi = "";
    constexpr auto connect = connect_ranks;
#else
    constexpr bool has_mpi = false;
    constexpr const char* no_mpi = "this build has no MPI";
    constexpr std::unique_ptr<Communicator> (*connect)(const Connecting&) = nullptr;
#endif
    static const std::array table{
        TrainerSetup{"serial", "cpu", "self", true, "", connect_self},
        TrainerSetup{"serial", "cuda", "self", true, "", connect_self},
        TrainerSetup{"cpu_ddp", "cpu", "mpi", has_mpi, no_mpi, connect},
        TrainerSetup{"sharded", "cpu", "mpi", has_mpi, no_mpi, connect},
        TrainerSetup{"sharded", "cuda", "gpus", true, "", connect_gpus},
        TrainerSetup{"gpu_ddp", "cuda", "gpus", true, "", connect_gpus},
    };
    return table;
}

std::string why_not_here(const TrainerSetup& setup) {
    if (!setup.available) return setup.reason;
    return std::string(setup.device) == "cuda" ? query_gpus().why_not : "";
}

MpiConnector mpi_connector() {
#if XB_HAVE_MPI
    return [] { return make_mpi_communicator(); };
#else
    return nullptr;
#endif
}

const TrainerSetup& find_setup(const std::string& name, const std::string& device) {
    std::vector<std::string> names;
    const TrainerSetup* known = nullptr;
    for (const TrainerSetup& setup : trainer_setups()) {
        if (setup.name == name && (device.empty() || device == setup.device)) return setup;
        if (setup.name == name) known = &setup;
        names.push_back(setup.name);
    }
    if (known)
        throw UsageError("the trainer " + name + " does not run on " + device, "device",
                         std::string("it runs on ") + known->device + "; gpu_ddp is cpu_ddp's counterpart on GPUs");
    const std::string close = nearest(name, names);
    throw UsageError("unknown trainer " + name, "trainer",
                     close.empty() ? "trainers are serial, cpu_ddp, gpu_ddp and sharded" : "did you mean " + close + "?");
}

}  // namespace xbench
