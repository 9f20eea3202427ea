// The trainers by name, and the communicator that each runs over. A row that cannot run in this build says why.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "core/communicator.h"
#include "core/hardware.h"

namespace xbench {

constexpr int lowest_stage = 1, highest_stage = 3;  // of ZeRO, that the sharded trainer has

// How this process joins the others.
struct Connecting {
    Binding binding;                   // of this process, as the ranks then wait
    std::shared_ptr<WaitLimit> limit;  // from the first moment
    std::string* note = nullptr;       // something worth saying, as that the ranks share no memory
};

struct TrainerSetup {
    const char* name;          // serial | cpu_ddp | gpu_ddp | sharded; one row for each of its devices, its own first
    const char* device;        // cpu | cuda
    const char* communicator;  // self | mpi | gpus: by MPI, or by a file where it was not started
    bool available;
    const char* reason;                                               // why not, when not available
    std::unique_ptr<Communicator> (*connect)(const Connecting& how);  // nothing waits longer than the limit
};

std::span<const TrainerSetup> trainer_setups();
// MPI alone, without the shared memory that the trainers prefer inside a node; null where this build has no MPI.
using MpiConnector = std::unique_ptr<Communicator> (*)();
MpiConnector mpi_connector();

// Of an empty device the trainer's own. Throws UsageError with the nearest name, or the trainer's devices.
const TrainerSetup& find_setup(const std::string& name, const std::string& device = {});
// Why it cannot run in this build on this machine, as there is no GPU; empty: it can. Asks the driver where it needs one.
std::string why_not_here(const TrainerSetup& setup);

}  // namespace xbench
