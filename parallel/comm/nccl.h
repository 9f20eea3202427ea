// NCCL as the data plane of ranks with a GPU each, opened at run time: nccl.cpp and nccl_library.cpp are the only files that
// know it. Collectives are put into the order of the rank's device and the host goes on; where it waits for the device in
// vain, because a peer does not come or NCCL reports an error, the wait ends with a line that names rank, step, operation
// and bytes.
#pragma once

#include <memory>
#include <string>

#include "core/communicator.h"
#include "kernels/device.h"

namespace xbench {

// Why these ranks cannot use it, the same on all: libnccl.so.2 is not found or too old, the GPU is an emulated one and the
// library is not its double. Empty: they can. Collective.
std::string why_no_nccl(ControlPlane& ranks, Device& device);

// Connects them: the first rank's unique id travels as bytes of `ranks`. Collective. Throws Error. Both outlive it.
std::unique_ptr<DataPlane> make_nccl_plane(Communicator& ranks, Device& device);

std::string nccl_version();  // "2.28.0", or "" where there is none

}  // namespace xbench
