// Asking the driver.
#include "kernels/cuda/devices.h"

#include "kernels/cuda/cuda_device.h"

namespace xbench {
namespace {

GpuDescription describe(int ordinal) {
    const CudaGpu& gpu = CudaGpu::of(ordinal);
    GpuDescription description;
    description.ordinal = ordinal;
    description.name = gpu.name();
    description.pci_address = gpu.pci_address();
    description.compute_capability = gpu.compute_capability();
    description.multiprocessors = gpu.multiprocessors();
    gpu.use();
    check_cuda(cuda_driver().cuMemGetInfo(&description.free_bytes, &description.memory_bytes), "its memory cannot be read",
               gpu.name());
    return description;
}

int count_gpus() {
    int count = 0;
    check_cuda(cuda_driver().cuDeviceGetCount(&count), "the GPUs cannot be counted", "device cuda");
    return count;
}

}  // namespace

GpuSystem query_gpus() {
    GpuSystem system;
    try {
        cuda_driver().cuDriverGetVersion(&system.driver_version);
        const int count = count_gpus();
        for (int ordinal = 0; ordinal < count; ++ordinal) system.gpus.push_back(describe(ordinal));
    } catch (const Error& error) {
        system.why_not = error.what();
    }
    for (const GpuDescription& gpu : system.gpus) system.emulated |= CudaGpu::of(gpu.ordinal).is_emulated();
    return system;
}

std::unique_ptr<Device> make_cuda_device(int local_rank) {
    const int count = count_gpus();
    if (local_rank >= count)
        throw Error(
            "rank " + std::to_string(local_rank) + " of this node has no GPU of its own: it sees " + std::to_string(count),
            "device cuda", "start fewer ranks a node, or ask Slurm for --gpus-per-task=1");
    auto device = std::make_unique<CudaDevice>(local_rank);
    if (device->target().compute_capability < oldest_compute_capability)
        throw Error("has " + to_string(device->target()) + ", the kernels need 8.0 or more",
                    "GPU " + std::to_string(local_rank) + " (" + device->gpu().name() + ")", "compute on another one");
    return device;
}

}  // namespace xbench
