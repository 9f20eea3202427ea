// Ranks with a GPU each: two that share one are refused, as NCCL hangs or fails on it, and no time of theirs means what a
// table says. And a word where tensors have to go through the host.
#pragma once

#include <string>

#include "core/communicator.h"
#include "kernels/device.h"

namespace xbench {

// Collective. Throws Error on the later of two ranks of one node that have the same GPU, unless XBENCH_SHARE_GPU is set (for
// a check of results on one GPU). Nothing happens on CPUs.
void check_own_gpus(Communicator& ranks, Device& device);

// Why tensors of these ranks' GPUs do not go over NCCL, for a note; "" where they do, and on CPUs. Collective.
std::string note_on_nccl(Communicator& ranks, Device& device);

}  // namespace xbench
