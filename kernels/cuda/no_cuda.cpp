// Of a build without CUDA (XB_CUDA): no rows and no GPUs, and a word why.
#include "core/error.h"
#include "kernels/cuda/devices.h"
#include "kernels/cuda/gpu_counts.h"
#include "kernels/cuda/images.h"

namespace xbench {
namespace {

const char* const why_not = "this xbench was built without CUDA";
const char* const remedy = "run scripts/install_deps.sh --cuda and configure again with -DXB_CUDA=ON";

}  // namespace

std::span<KernelRows (*const)()> cuda_row_lists() { return {}; }

GpuSystem query_gpus() {
    GpuSystem system;
    system.why_not = std::string(why_not) + "; " + remedy;
    return system;
}

GpuIdentity identity_of(Device&) { return {}; }

bool is_gpu_memory(const void*) { return false; }

std::unique_ptr<Device> make_cuda_device(int) { throw Error(why_not, "device cuda", remedy); }

struct GpuCounter::State {};
GpuCounter::GpuCounter(Device&) { throw UsageError(why_not, "--predict", remedy); }
GpuCounter::~GpuCounter() = default;
std::vector<CountedRow> GpuCounter::take() { return {}; }

}  // namespace xbench
