// The data plane of a rank that is alone with its device: only its own blocks of leaves are added, in the device's order.
#pragma once

#include <memory>

#include "core/communicator.h"
#include "kernels/device.h"

namespace xbench {

// For compose() (parallel/comm/composed.h); the device outlives it.
std::unique_ptr<DataPlane> make_lone_plane(Communicator& ranks, Device& device);

}  // namespace xbench
