// Asking the driver.
#include "kernels/cuda/devices.h"

#include <cstdlib>

#include "kernels/cuda/cuda_device.h"

namespace xbench {
namespace {

GpuDescription describe(int ordinal) {
    const CudaDriver& driver = cuda_driver();
    const std::string where = "GPU " + std::to_string(ordinal);
    CUdevice device = 0;
    char name[256] = "", pci_address[32] = "";
    GpuDescription description;
    description.ordinal = ordinal;
    check_cuda(driver.cuDeviceGet(&device, ordinal), "there is no such GPU", where);
    check_cuda(driver.cuDeviceGetName(name, sizeof name, device), "its name cannot be read", where);
    check_cuda(driver.cuDeviceGetPCIBusId(pci_address, sizeof pci_address, device), "its address cannot be read", where);
    check_cuda(driver.cuDeviceTotalMem(&description.memory_bytes, device), "its memory cannot be read", where);
    int major = 0, minor = 0;
    driver.cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device);
    driver.cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device);
    driver.cuDeviceGetAttribute(&description.multiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device);
    description.name = name;
    description.pci_address = pci_address;
    description.compute_capability = major * 10 + minor;
    return description;
}

std::string hex_digits(unsigned char byte) {
    constexpr const char* digits = "0123456789abcdef";
    return {digits[byte >> 4], digits[byte & 15]};
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
    for (const GpuDescription& gpu : system.gpus) system.emulated |= is_emulated_gpu(gpu.name);
    return system;
}

GpuIdentity identity_of(Device& device) {
    auto* const cuda = dynamic_cast<CudaDevice*>(&device);
    if (!cuda) return {};
    CUuuid uuid{};
    CUdevice handle = 0;
    cuda_driver().cuDeviceGet(&handle, cuda->gpu().ordinal());
    GpuIdentity identity{"", cuda->gpu().where()};
    if (!cuda_driver().cuDeviceGetUuid || cuda_driver().cuDeviceGetUuid(&uuid, handle) != CUDA_SUCCESS)
        identity.id = describe(cuda->gpu().ordinal()).pci_address;
    else
        for (const char byte : uuid.bytes) identity.id += hex_digits(static_cast<unsigned char>(byte));
    return identity;
}

bool is_gpu_memory(const void* data) {
    CUmemorytype type{};
    const CUresult result =
        cuda_driver().cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, reinterpret_cast<CUdeviceptr>(data));
    return result == CUDA_SUCCESS && type == CU_MEMORYTYPE_DEVICE;
}

std::unique_ptr<Device> make_cuda_device(int local_rank) {
    const int count = count_gpus();
    // A launcher may show each rank its own GPU alone (--gpus-per-task=1).
    const int ordinal = count == 1 && std::getenv("CUDA_VISIBLE_DEVICES") ? 0 : local_rank;
    if (ordinal >= count)
        throw Error(
            "rank " + std::to_string(local_rank) + " of this node has no GPU of its own: it sees " + std::to_string(count),
            "device cuda", "start fewer ranks a node, ask Slurm for --gpus-per-task=1, or look at CUDA_VISIBLE_DEVICES");
    auto device = std::make_unique<CudaDevice>(ordinal);
    if (device->target().compute_capability < oldest_compute_capability)
        throw Error("has " + to_string(device->target()) + ", the kernels need 8.0 or more", device->gpu().where(),
                    "compute on another one");
    return device;
}

}  // namespace xbench
