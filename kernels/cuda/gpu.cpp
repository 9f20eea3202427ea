// Contexts and modules.
#include "kernels/cuda/gpu.h"

#include <memory>

#include "kernels/cuda/images.h"

namespace xbench {

CudaGpu& CudaGpu::of(int ordinal) {
    static std::mutex mutex;
    static std::map<int, std::unique_ptr<CudaGpu>> all;
    const std::lock_guard lock(mutex);
    auto& gpu = all[ordinal];
    if (!gpu) gpu = std::make_unique<CudaGpu>(ordinal);
    return *gpu;
}

CudaGpu::CudaGpu(int ordinal) : ordinal_(ordinal), where_("GPU " + std::to_string(ordinal)) {
    const CudaDriver& driver = cuda_driver();
    check_cuda(driver.cuDeviceGet(&device_, ordinal), "there is no such GPU", where_);
    char name[256] = "";
    check_cuda(driver.cuDeviceGetName(name, sizeof name, device_), "its name cannot be read", where_);
    name_ = name;
    where_ += " (" + name_ + ")";
    const CUresult result = driver.cuDevicePrimaryCtxRetain(&context_, device_);
    check_cuda(result, result == CUDA_ERROR_DEVICE_UNAVAILABLE ? text_of_compute_mode() : "cannot be used", where_);
}

// Why a GPU that is there is not to be had.
const char* CudaGpu::text_of_compute_mode() const {
    switch (attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_MODE)) {
        case CU_COMPUTEMODE_EXCLUSIVE_PROCESS: return "its compute mode is exclusive, and another process has it";
        case CU_COMPUTEMODE_PROHIBITED: return "its compute mode is prohibited";
        default: return "cannot be used";
    }
}

int CudaGpu::attribute(CUdevice_attribute which) const {
    int value = 0;
    check_cuda(cuda_driver().cuDeviceGetAttribute(&value, which, device_), "an attribute cannot be read", where_);
    return value;
}

void CudaGpu::use() const noexcept {
    thread_local CUcontext used = nullptr;
    if (used == context_) return;
    cuda_driver().cuCtxSetCurrent(context_);
    used = context_;
}

CUmodule CudaGpu::module_of(const char* stem) {
    if (const auto found = modules_.find(stem); found != modules_.end()) return found->second;
    for (const CudaImage& image : cuda_images()) {
        if (std::string(stem) != image.stem) continue;
        CUmodule module = nullptr;
        check_cuda(cuda_driver().cuModuleLoadData(&module, image.data), std::string("cannot load the kernels of ") + stem,
                   where_);
        return modules_[stem] = module;
    }
    throw Error(std::string("no file ") + stem + ".cu was built", where_);
}

void CudaGpu::replace(const char* stem, const void* image) {
    const std::lock_guard lock(mutex_);
    use();
    CUmodule module = nullptr;
    check_cuda(cuda_driver().cuModuleLoadData(&module, image), std::string("cannot load other kernels of ") + stem, where_);
    modules_[stem] = module;
    std::erase_if(functions_, [&](const auto& entry) { return entry.first->stem == std::string_view(stem); });
}

void CudaGpu::read_parameters(Loaded& loaded) const {
    const auto parameter = cuda_driver().cuFuncGetParamInfo;
    if (!parameter) return;
    size_t offset = 0, bytes = 0;
    for (size_t i = 0; parameter(loaded.function, i, &offset, &bytes) == CUDA_SUCCESS; ++i)
        loaded.parameter_bytes.push_back(bytes);
    loaded.knows_parameters = true;
}

CudaGpu::Loaded& CudaGpu::load(const CudaFunction& function) {
    const std::lock_guard lock(mutex_);
    const auto [entry, is_new] = functions_.try_emplace(&function);
    Loaded& loaded = entry->second;
    if (loaded.function) return loaded;
    use();
    check_cuda(cuda_driver().cuModuleGetFunction(&loaded.function, module_of(function.stem), function.name),
               std::string(function.stem) + ".cu has no kernel " + function.name, where_);
    read_parameters(loaded);
    return loaded;
}

}  // namespace xbench
