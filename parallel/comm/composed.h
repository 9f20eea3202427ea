// A communicator of two parts: tensors go over a data plane of their own (a network of devices), everything else over the
// communicator that started the ranks. The parts, splits and channels follow the control side; for each the data plane is
// made anew, by its own means or with what the ranks tell each other (NCCL's unique id is bytes of the control plane). Its
// calls happen in the order of the device, or of a channel in the order that the channel is on.
#pragma once

#include <functional>
#include <memory>

#include "core/communicator.h"
#include "kernels/device.h"

namespace xbench {

// Makes the data plane of these ranks; collective over them. It is used, and destroyed, before `ranks` and `order` are.
using DataPlaneMaker = std::function<std::unique_ptr<DataPlane>(Communicator& ranks, Device& order)>;

// `name` as "nccl+mpi"; a literal. Memory is each rank's own: what ranks of a node share is host memory, which the data
// plane need not reach.
std::unique_ptr<Communicator> compose(std::unique_ptr<Communicator> control, DataPlaneMaker make, Device& order,
                                      const char* name);

}  // namespace xbench
