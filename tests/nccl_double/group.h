// Calls between ncclGroupStart and ncclGroupEnd, of a thread: they go into their streams together.
#pragma once

#include "tests/nccl_double/operation.h"

namespace xbench::nccl {

void start_group();
Result end_group();
// Checked here; goes into its stream when the outermost group ends, at once outside of one.
Result submit(ncclComm_t comm, CUstream stream, Part part);
// A communicator that joins: waited for at the end of the group.
Result submit_join(ncclComm_t comm);

}  // namespace xbench::nccl
