// Devices by name.
#include "core/error.h"
#include "kernels/cuda/devices.h"

namespace xbench {

std::unique_ptr<Device> make_device(const std::string& name, int threads, int local_rank) {
    if (name == "cuda") return make_cuda_device(local_rank);
    if (name == "cpu") return std::make_unique<Cpu>(threads);
    throw UsageError("unknown device " + name, "device", "use cpu or cuda");
}

}  // namespace xbench
