// One GPU as this process uses it: its primary context, the modules that were loaded into it and their functions. There is
// one object a GPU, for as long as the process lives, so that a second device on it loads nothing again.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "kernels/cuda/driver.h"
#include "kernels/cuda/queue.h"

namespace xbench {

constexpr int oldest_compute_capability = 80;  // what the kernels' PTX is for

// The one of the tests, by what its driver calls it.
inline bool is_emulated_gpu(const std::string& name) { return name.find("emulated") != std::string::npos; }

class CudaGpu {
public:
    // Throws Error where there is no such GPU or it cannot be used.
    static CudaGpu& of(int ordinal);
    explicit CudaGpu(int ordinal);  // use of()

    int ordinal() const { return ordinal_; }
    const std::string& name() const { return name_; }    // "NVIDIA H200"
    const std::string& where() const { return where_; }  // for messages: "GPU 1 (NVIDIA H200)"
    bool is_emulated() const { return is_emulated_gpu(name_); }
    int compute_capability() const {
        return attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) * 10 +
               attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    }
    int multiprocessors() const { return attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT); }
    int attribute(CUdevice_attribute which) const;

    // Makes its context the calling thread's; to be called before anything that works on memory, streams or events.
    void use() const noexcept;

    struct Loaded {
        CUfunction function = nullptr;
        std::vector<size_t> parameter_bytes;  // empty: the driver does not say
        bool knows_parameters = false;
        std::atomic<unsigned> shared_bytes{48u << 10};  // dynamic shared memory that it may be launched with
    };
    // Loads it when it is asked for the first time. Throws CudaError.
    Loaded& load(const CudaFunction& function);
    // For tests: kernels of this .cu file are those of another image from now on, fat binary or PTX. Nothing may be running.
    void replace(const char* stem, const void* image);
    // Calls body(const CudaFunction&, CUfunction) for each that was loaded so far: for tests that count on the emulated GPU.
    template <class Body>
    void for_each_loaded(Body&& body) const {
        for (const auto& [function, loaded] : functions_) body(*function, loaded.function);
    }

private:
    const char* text_of_compute_mode() const;
    CUmodule module_of(const char* stem);
    void read_parameters(Loaded& loaded) const;

    const int ordinal_;
    CUdevice device_ = 0;
    CUcontext context_ = nullptr;
    std::string name_, where_;
    std::mutex mutex_;
    std::map<std::string, CUmodule> modules_;
    std::map<const CudaFunction*, Loaded> functions_;
};

}  // namespace xbench
