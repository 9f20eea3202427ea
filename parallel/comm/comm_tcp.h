// Ranks that srun or a script has started, without MPI: they meet (parallel/comm/rendezvous.h) and talk over TCP through
// rank 0. Made for control: tensors of GPUs go over NCCL beside it, and ranks of one node share memory
// (connect_nodes). Its own sums and gathers are right, and slow, as everything goes to everybody.
#pragma once

#include <memory>

#include "core/communicator.h"
#include "parallel/comm/rendezvous.h"

namespace xbench {

// Collective over all ranks that the launcher has started. `rank` and `ranks` are the launcher's; the communicator numbers
// them node by node. Throws Error.
std::unique_ptr<Communicator> make_tcp_communicator(int rank, int ranks, Meeting& meeting,
                                                    std::shared_ptr<WaitLimit> limit = std::make_shared<WaitLimit>());

}  // namespace xbench
