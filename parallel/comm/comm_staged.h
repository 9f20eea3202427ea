// Ranks whose data lie in a device's memory, over a communicator that reads and writes the host's: every call on data goes
// through staging memory, and waits for the device first. What a communicator of the device itself (NCCL) does without.
// Data of the host may be given too. Ranks do not see each other's memory; a channel copies in an order of its own.
#pragma once

#include <memory>

#include "core/communicator.h"
#include "kernels/device.h"

namespace xbench {

// For a device whose memory the host may not touch; null where it may, as no staging is needed. Both must outlive it.
std::unique_ptr<Communicator> make_staged_communicator(Communicator& over, Device& device);

}  // namespace xbench
