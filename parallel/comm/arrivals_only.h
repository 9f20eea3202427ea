// An ideal network, by measurement: a communicator whose collectives wait until all ranks have arrived and move no data.
// Everything else is the wrapped communicator's, so that trainers choose the same way of reducing and allocate the same
// memory. What trains over it has wrong weights; the time of its steps is what waiting for each other alone costs.
#pragma once

#include <memory>

#include "core/communicator.h"

namespace xbench {

// Data stays as it is on each rank. copies() shows every rank its own memory in place of the others', so that ranks that add
// up where the gradients lie make the same additions and read nothing of another core.
std::unique_ptr<Communicator> make_arrivals_only(std::unique_ptr<Communicator> inner);

}  // namespace xbench
