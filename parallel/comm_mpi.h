// Ranks that are MPI processes. comm_mpi.cpp is the only file that sees mpi.h.
#pragma once

#include <memory>
#include <string>

#include "core/communicator.h"

namespace xbench {

// Initialises MPI (once a process) and finalises it with the communicator. Throws Error when MPI cannot start.
std::unique_ptr<Communicator> make_mpi_communicator();
// Whether all its ranks can share memory. Collective over all ranks.
bool mpi_ranks_share_a_node();
std::string mpi_library_version();

}  // namespace xbench
