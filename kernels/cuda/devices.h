// The GPUs of this machine, for builds with and without CUDA: what there is, and a device on one of them.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "kernels/device.h"

namespace xbench {

struct GpuDescription {
    int ordinal = 0;
    std::string name, pci_address;  // "NVIDIA H200", "0000:1a:00.0"
    int compute_capability = 0;     // 90 is 9.0
    int multiprocessors = 0;
    size_t memory_bytes = 0;
};

struct GpuSystem {
    std::string why_not;               // one line with its remedy where no GPU can be used, else empty
    int driver_version = 0;            // of CUDA, 13000 is 13.0; 0: there is no driver
    bool emulated = false;             // the driver is the emulated GPU of the tests, whose times mean nothing
    std::vector<GpuDescription> gpus;  // visible to this process
};
// Opens the driver, makes no context on a GPU, and throws nothing.
GpuSystem query_gpus();

// The GPU of the rank with this number on its node. Throws Error that says why there is none, with a remedy.
std::unique_ptr<Device> make_cuda_device(int local_rank);
// Which GPU a device is, for one that looks whether two ranks have the same; empty where it is none.
struct GpuIdentity {
    std::string id;     // the driver's for this GPU or part of one (MIG), else its PCI address: at most 32 letters
    std::string where;  // "GPU 1 (NVIDIA H200)"
};
GpuIdentity identity_of(Device& device);
// Whether it lies in a GPU's memory; false for all of the host's, pinned or not.
bool is_gpu_memory(const void* data);
// "cpu" with so many threads, or "cuda".
std::unique_ptr<Device> make_device(const std::string& name, int threads, int local_rank = 0);

}  // namespace xbench
