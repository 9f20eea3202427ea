// Memory, copies, events and launches on one stream.
#include "kernels/cuda/cuda_device.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "kernels/cuda/sum.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(sum_floats, sum, xb_sum_f32);
XB_CUDA_FUNCTION(sum_doubles, sum, xb_sum_f64);
constexpr unsigned sum_threads = 256;
constexpr size_t most_events = 1 << 14;  // more than twice the steps of any plan

Target target_of(CudaGpu& gpu) { return {Isa::portable, DeviceKind::cuda, gpu.compute_capability()}; }

CUdeviceptr address(const void* data) { return reinterpret_cast<CUdeviceptr>(data); }

CUstream make_stream(CudaGpu& gpu) {
    gpu.use();
    CUstream stream = nullptr;
    check_cuda(cuda_driver().cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), "no stream", gpu.where());
    return stream;
}

std::string mib(size_t bytes) { return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB"; }

[[noreturn]] void no_memory(CudaGpu& gpu, CUresult result, size_t bytes) {
    size_t free_bytes = 0, total_bytes = 0;
    cuda_driver().cuMemGetInfo(&free_bytes, &total_bytes);
    throw CudaError(result, "no memory for " + mib(bytes) + ": " + mib(free_bytes) + " of " + mib(total_bytes) + " are free",
                    gpu.where(), remedy_of(result));
}

}  // namespace

CudaDevice::CudaDevice(int ordinal)
    : Device(target_of(CudaGpu::of(ordinal)), 1),
      gpu_(CudaGpu::of(ordinal)),
      stream_(make_stream(gpu_)),
      queue_(gpu_, stream_) {}

CudaDevice::~CudaDevice() {
    gpu_.use();
    cuda_driver().cuStreamSynchronize(stream_);
    for (const CUevent event : events_) cuda_driver().cuEventDestroy(event);
    cuda_driver().cuStreamDestroy(stream_);
}

void CudaDevice::check(CUresult result, const char* what) {
    queue_.throw_failure();
    check_cuda(result, what, gpu_.where());
}

// cuMemFree waits for what still uses it.
AlignedBuffer CudaDevice::take(size_t bytes) {
    if (bytes == 0) return {};
    gpu_.use();
    CUdeviceptr data = 0;
    if (const CUresult result = cuda_driver().cuMemAlloc(&data, bytes); result == CUDA_ERROR_OUT_OF_MEMORY)
        no_memory(gpu_, result, bytes);
    else
        check(result, "memory was not allocated");
    std::shared_ptr<void> memory(reinterpret_cast<void*>(data), [gpu = &gpu_](void* p) {
        gpu->use();
        cuda_driver().cuMemFree(address(p));
    });
    return {std::move(memory), bytes};
}

AlignedBuffer CudaDevice::allocate(size_t bytes) {
    AlignedBuffer buffer = take(bytes);
    zero(buffer.data(), bytes);
    return buffer;
}

AlignedBuffer CudaDevice::allocate_undefined(size_t bytes) {
    AlignedBuffer buffer = take(bytes);
    if (bytes > 0 && !gpu_.is_emulated())
        check(cuda_driver().cuMemsetD8Async(address(buffer.data()), 0xFF, bytes, stream_), "memory was not filled");
    return buffer;
}

size_t CudaDevice::free_bytes() {
    gpu_.use();
    size_t free_here = 0, total_bytes = 0;
    check(cuda_driver().cuMemGetInfo(&free_here, &total_bytes), "its memory cannot be read");
    return free_here;
}

AlignedBuffer CudaDevice::allocate_staging(size_t bytes) {
    if (bytes == 0) return {};
    gpu_.use();
    void* data = nullptr;
    check(cuda_driver().cuMemHostAlloc(&data, bytes, CU_MEMHOSTALLOC_PORTABLE), "no pinned memory of the host");
    std::memset(data, 0, bytes);
    return {std::shared_ptr<void>(data,
                                  [gpu = &gpu_](void* p) {
                                      gpu->use();
                                      cuda_driver().cuMemFreeHost(p);
                                  }),
            bytes};
}

void CudaDevice::copy(void* to, const void* from, size_t bytes) {
    if (bytes == 0) return;
    gpu_.use();
    check(cuda_driver().cuMemcpyAsync(address(to), address(from), bytes, stream_), "a copy was refused");
}

void CudaDevice::zero(void* data, size_t bytes) {
    if (bytes == 0) return;
    gpu_.use();
    check(cuda_driver().cuMemsetD8Async(address(data), 0, bytes, stream_), "memory was not zeroed");
}

template <class T>
void CudaDevice::sum_here(const CudaFunction& function, const Addends<T>& addends, T* total, size_t count) {
    if (addends.count > most_cuda_addends)
        throw Error("a sum of " + std::to_string(addends.count) + " addends", "device cuda",
                    "at most " + std::to_string(most_cuda_addends) + " are possible: take fewer ranks or virtual ranks");
    CudaAddends<T> all{};
    std::copy_n(addends.from, addends.count, all.from);
    std::copy_n(addends.merges, addends.count, all.merges);
    all.count = addends.count;
    const auto blocks = std::min<size_t>((count + sum_threads - 1) / sum_threads,
                                         size_t{16} * static_cast<size_t>(queue_.multiprocessors()));
    queue_.launch(function, {static_cast<unsigned>(blocks)}, {sum_threads}, 0, all, total, static_cast<int64_t>(count));
}

void CudaDevice::sum(const Addends<float>& addends, float* total, size_t count) {
    sum_here(sum_floats, addends, total, count);
}

void CudaDevice::sum(const Addends<double>& addends, double* total, size_t count) {
    sum_here(sum_doubles, addends, total, count);
}

void CudaDevice::launch(const Kernel& kernel, const KernelArgs& args, const Team&) noexcept {
    queue_.begin(kernel, args);
    kernel.enqueue(args, queue_);
    if (!after_launch_) return;
    try {
        after_launch_(kernel);
    } catch (const std::exception& error) {
        queue_.keep_failure(CUDA_ERROR_UNKNOWN, error.what());
    }
}

// Inside a graph an event is what other orders follow, and nothing else is asked of it.
DeviceEvent CudaDevice::record() {
    gpu_.use();
    const std::lock_guard lock(events_mutex_);
    const auto slot = static_cast<size_t>(recorded_) % most_events;
    if (slot == events_.size()) {
        CUevent event = nullptr;
        check(cuda_driver().cuEventCreate(&event, CU_EVENT_DEFAULT), "no event");
        events_.push_back(event);
    }
    check(cuda_driver().cuEventRecord(events_[slot], stream_), "an event was not recorded");
    return {++recorded_};
}

CUevent CudaDevice::event_of(const DeviceEvent& event) const {
    const std::lock_guard lock(events_mutex_);
    return events_.at(static_cast<size_t>(event.handle - 1) % most_events);
}

bool CudaDevice::is_done(const DeviceEvent& event) {
    gpu_.use();
    const CUresult result = cuda_driver().cuEventQuery(event_of(event));
    if (result == CUDA_ERROR_NOT_READY) return false;
    check(result, "a kernel failed");
    return true;
}

void CudaDevice::wait(const DeviceEvent& event) {
    if (event.handle == 0) return;
    gpu_.use();
    const auto start = std::chrono::steady_clock::now();
    const auto waited = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
    while (!is_done(event) && look(waited())) std::this_thread::yield();
    check(cuda_driver().cuEventSynchronize(event_of(event)), "a kernel failed");
}

void CudaDevice::wait() { wait(record()); }

int64_t CudaDevice::elapsed_ns(const DeviceEvent& from, const DeviceEvent& to) {
    if (from.handle == to.handle) return 0;
    if (recorded_ - from.handle >= static_cast<int64_t>(most_events))
        throw Error("an event is too old to be timed", "device cuda");
    wait(to);
    float milliseconds = 0;
    check(cuda_driver().cuEventElapsedTime(&milliseconds, event_of(from), event_of(to)), "no time");
    return static_cast<int64_t>(static_cast<double>(milliseconds) * 1e6);
}

std::unique_ptr<Device> CudaDevice::another_order() {
    auto order = std::make_unique<CudaDevice>(gpu_.ordinal());
    order->restrict_to(target());
    order->looks_ = looks_;
    order->recording_ = recording_;
    return order;
}

void CudaDevice::follow(const Device& other, const DeviceEvent& event) {
    if (event.handle == 0) return;
    gpu_.use();
    const CUevent recorded = dynamic_cast<const CudaDevice&>(other).event_of(event);
    check(cuda_driver().cuStreamWaitEvent(stream_, recorded, 0), "an order does not follow another one");
}

namespace {

// A graph of all launches and copies of a body; at first only the word that the body has run, so that all its kernels are
// loaded.
struct CudaGraph final : Device::Recording {
    CudaGraph() = default;
    CudaGraph(CudaGpu& of, CUgraphExec made) : gpu(&of), graph(made) {}
    ~CudaGraph() override {
        if (!graph) return;
        gpu->use();
        cuda_driver().cuGraphExecDestroy(graph);
    }
    CudaGpu* gpu = nullptr;
    CUgraphExec graph = nullptr;
};

}  // namespace

std::unique_ptr<Device::Recording> CudaDevice::capture(void (*body)(void*, const Team&), void* called) {
    const CudaDriver& driver = cuda_driver();
    check(driver.cuStreamBeginCapture(stream_, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), "a graph was not begun");
    *recording_ = true;
    body(called, Team{0, 1, nullptr});
    *recording_ = false;
    CUgraph graph = nullptr;
    const CUresult ended = driver.cuStreamEndCapture(stream_, &graph);
    queue_.throw_failure();
    check(ended, "a graph was not captured");
    CUgraphExec made = nullptr;
    const CUresult instantiated = driver.cuGraphInstantiate(&made, graph, 0);
    driver.cuGraphDestroy(graph);
    check(instantiated, "a graph was not instantiated");
    return std::make_unique<CudaGraph>(gpu_, made);
}

// The first time as it is, the second time into a graph, from then on the graph.
void CudaDevice::run_kept(std::unique_ptr<Recording>& kept, void (*body)(void*, const Team&), void* called) {
    gpu_.use();
    if (!replays_ || after_launch_) return run_team(body, called);
    if (!kept) {
        kept = std::make_unique<CudaGraph>();
        return run_team(body, called);
    }
    if (!static_cast<CudaGraph&>(*kept).graph) kept = capture(body, called);
    check(cuda_driver().cuGraphLaunch(static_cast<CudaGraph&>(*kept).graph, stream_), "a graph was not launched");
    ++replays_done_;
}

void CudaDevice::run_team(void (*body)(void*, const Team&), void* called) { body(called, Team{0, 1, nullptr}); }

}  // namespace xbench
