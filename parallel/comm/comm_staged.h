// Ranks whose data are in the memory of a device, over a communicator that reads and writes host memory. Every call on data
// goes through staging memory and first waits for the device. A communicator of the device itself (NCCL) needs none of it.
// Data of the host may be given too. Ranks do not see each other's memory, and have no second channel.
#pragma once

#include <memory>

#include "core/communicator.h"
#include "kernels/device.h"

namespace xbench {

// For a device whose memory the host may not touch; null where it may, as no staging is needed. Both must outlive it.
std::unique_ptr<Communicator> make_staged_communicator(Communicator& over, Device& device);

}  // namespace xbench
