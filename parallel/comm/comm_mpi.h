// Ranks that are MPI processes. comm_mpi.cpp is the only file that sees mpi.h.
#pragma once

#include <memory>
#include <string>

#include "core/communicator.h"

namespace xbench {

// Initialises MPI; it is finalised with the last communicator that came from this one. Where the launcher did not place the
// ranks node by node (round robin), they are renumbered so that those of a node follow each other. Throws Error when MPI
// cannot start, UsageError where a launcher started more processes than MPI knows of. Collective over all processes.
std::unique_ptr<Communicator> make_mpi_communicator(std::shared_ptr<WaitLimit> limit = std::make_shared<WaitLimit>());
std::string mpi_library_version();

}  // namespace xbench
