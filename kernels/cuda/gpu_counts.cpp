// Asking the emulated driver.
#include "kernels/cuda/gpu_counts.h"

#include <utility>

#include "core/error.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/op.h"

namespace xbench {

struct GpuCounter::State {
    CudaDevice& device;
    void (*mode)(int races, int counts, int quiet);
    void (*zero)(CUfunction);
    void (*read)(CUfunction, GpuCounts*);
    std::vector<CountedRow> rows{};

    void count(const Kernel& kernel) {
        device.wait();
        CountedRow row{kernel.name, name_of(kernel.op), {}};
        device.gpu().for_each_loaded([&](const CudaFunction& function, CUfunction loaded) {
            GpuCounts counts{};
            read(loaded, &counts);
            if (counts.launches == 0) return;
            zero(loaded);
            row.kernels.push_back({function.name, counts});
        });
        rows.push_back(std::move(row));
    }
};

namespace {

CudaDevice& emulated(Device& device) {
    auto* const gpu = device.is_emulated() ? dynamic_cast<CudaDevice*>(&device) : nullptr;
    if (!gpu)
        throw UsageError("only the emulated GPU of the tests counts what kernels do", "--predict",
                         "start xbench with LD_LIBRARY_PATH=<build>/gpu_emulator (docs/gpu_emulator.md) and --device cuda");
    return *gpu;
}

template <class F>
F* of_emulator(const char* name) {
    void* const symbol = driver_symbol(name);
    if (!symbol) throw Error(std::string("the emulated driver has no ") + name, "libcuda.so.1", "build it anew");
    return reinterpret_cast<F*>(symbol);
}

}  // namespace

GpuCounter::GpuCounter(Device& device)
    : state_(new State{emulated(device), of_emulator<void(int, int, int)>("emu_mode"),
                       of_emulator<void(CUfunction)>("emu_reset_counts"),
                       of_emulator<void(CUfunction, GpuCounts*)>("emu_kernel_counts")}) {
    State& state = *state_;
    state.mode(0, 1, 1);
    state.device.gpu().for_each_loaded([&](const CudaFunction&, CUfunction loaded) { state.zero(loaded); });
    state.device.after_launch([&state](const Kernel& kernel) { state.count(kernel); });
}

GpuCounter::~GpuCounter() {
    state_->device.after_launch({});
    state_->mode(0, 0, 0);
}

std::vector<CountedRow> GpuCounter::take() { return std::exchange(state_->rows, {}); }

}  // namespace xbench
