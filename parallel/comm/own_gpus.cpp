// Comparing the GPUs of all ranks.
#include "parallel/comm/own_gpus.h"

#include <fmt/format.h>

#include <cstdlib>

#include "core/error.h"
#include "core/gather.h"
#include "kernels/cuda/devices.h"
#include "parallel/comm/nccl.h"

namespace xbench {

void check_own_gpus(Communicator& ranks, Device& device) {
    if (device.is_host() || ranks.size() == 1) return;
    const GpuIdentity mine = identity_of(device);
    const std::vector<std::string> all = gather_texts(ranks, mine.id);
    const std::vector<int> nodes = ranks.nodes();
    const auto me = static_cast<size_t>(ranks.rank());
    for (size_t other = 0; other < me; ++other)
        if (nodes[other] == nodes[me] && all[other] == mine.id && !std::getenv("XBENCH_SHARE_GPU"))
            throw Error(
                fmt::format("rank {} has the same GPU as rank {}", me, other), mine.where,
                "start as many ranks a node as it has GPUs, and give each its own: srun --gpus-per-task=1, or show all "
                "ranks all GPUs (CUDA_VISIBLE_DEVICES). XBENCH_SHARE_GPU=1 lets them share it, to check results");
}

std::string note_on_nccl(Communicator& ranks, Device& device) {
    if (device.is_host() || ranks.size() == 1) return "";
    const std::string why_not = why_no_nccl(ranks, device);
    return why_not.empty() || std::getenv("XBENCH_NO_NCCL")
               ? ""
               : why_not + "; tensors go through the host's memory, which is slower";
}

}  // namespace xbench
