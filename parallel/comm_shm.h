// Ranks that are processes of one node and talk through shared memory; no MPI needed.
//
// Buffers that came from allocate() lie in shared memory themselves: each rank sums its part of all ranks' copies and writes
// the sum into all of them, between two meetings, without any copy. Other buffers go through a staging area, piece by piece.
// Every sum is in the fixed tree over ranks (kernels/rank_sum), whatever Reduction asks for: another order would not be
// faster. Errors of a peer end every call: see shm_meeting.h.
#pragma once

#include <memory>

#include "core/communicator.h"
#include "parallel/shm_meeting.h"

namespace xbench {

std::unique_ptr<Communicator> make_shm_communicator(const MeetingOptions& options);

// All ranks of `starter` are on this node: they meet through it. Afterwards it serves to abort the job only, and is kept
// until the end. Collective over `starter`.
std::unique_ptr<Communicator> make_shm_communicator(std::shared_ptr<Communicator> starter, bool own_cores);

}  // namespace xbench
