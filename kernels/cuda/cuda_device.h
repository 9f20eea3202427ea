// A GPU as a device: memory from its driver, and everything that it is told in the order of one stream.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/queue.h"
#include "kernels/device.h"

namespace xbench {

class CudaDevice final : public Device {
public:
    explicit CudaDevice(int ordinal);
    ~CudaDevice() override;

    const char* name() const override { return "cuda"; }
    bool is_host() const override { return false; }
    using Device::allocate;
    AlignedBuffer allocate(size_t bytes) override;
    AlignedBuffer allocate_undefined(size_t bytes) override;
    size_t free_bytes() override;
    AlignedBuffer allocate_staging(size_t bytes) override;
    void copy(void* to, const void* from, size_t bytes) override;
    void zero(void* data, size_t bytes) override;
    void sum(const Addends<float>& addends, float* total, size_t count) override;
    void sum(const Addends<double>& addends, double* total, size_t count) override;
    void launch(const Kernel& kernel, const KernelArgs& args, const Team& team) noexcept override;
    DeviceEvent record() override;
    void wait(const DeviceEvent& event) override;
    void wait() override;
    int64_t elapsed_ns(const DeviceEvent& from, const DeviceEvent& to) override;
    bool is_done(const DeviceEvent& event) override;
    std::unique_ptr<Device> another_order() override;
    void follow(const Device& other, const DeviceEvent& event) override;
    bool is_emulated() const override { return gpu_.is_emulated(); }
    void* native_order() override { return stream_; }
    bool is_recording() const override { return *recording_; }
    int64_t replays() const override { return replays_done_; }

    CudaGpu& gpu() { return gpu_; }
    CUstream stream() const { return stream_; }
    CudaQueue& queue() { return queue_; }
    // Calls it after each row that is launched, and records no graphs meanwhile; an empty one ends that.
    void after_launch(std::function<void(const Kernel&)> observe) { after_launch_ = std::move(observe); }

private:
    void run_team(void (*body)(void*, const Team&), void* called) override;
    void run_kept(std::unique_ptr<Recording>& kept, void (*body)(void*, const Team&), void* called) override;
    std::unique_ptr<Recording> capture(void (*body)(void*, const Team&), void* called);
    void check(CUresult result, const char* what);
    AlignedBuffer take(size_t bytes);
    template <class T>
    void sum_here(const CudaFunction& function, const Addends<T>& addends, T* total, size_t count);
    CUevent event_of(const DeviceEvent& event) const;

    CudaGpu& gpu_;
    CUstream stream_;
    CudaQueue queue_;
    // A ring: the newest records. Whoever waits for an older one waits for one that came later in the same order.
    mutable std::mutex events_mutex_;  // another order may ask for an event while this one records
    std::vector<CUevent> events_;
    int64_t recorded_ = 0;
    std::shared_ptr<std::atomic<bool>> recording_ = std::make_shared<std::atomic<bool>>(false);  // of all orders
    int64_t replays_done_ = 0;
    std::function<void(const Kernel&)> after_launch_;
};

}  // namespace xbench
