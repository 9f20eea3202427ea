// A communicator that notes when each collective on tensors was come to and left (parallel/comm/arrival_log.h), and does
// nothing else. For ranks that compute on the host: on another device, calls may return before they are done.
#pragma once

#include <memory>

#include "core/communicator.h"
#include "parallel/comm/arrival_log.h"

namespace xbench {

// The log outlives it. Channels have tracks of their own; groups (split) are not logged, as not all ranks meet there.
std::unique_ptr<Communicator> make_logged(std::unique_ptr<Communicator> inner, ArrivalLog& log);

}  // namespace xbench
