// emu_* functions: what tests ask of the emulator, and what the double of NCCL needs of it.
#include <array>
#include <cstring>

#include "tests/gpu_emulator/device_memory.h"
#include "tests/gpu_emulator/driver.h"
#include "tests/gpu_emulator/options.h"
#include "tests/gpu_emulator/report.h"
#include "tests/gpu_emulator/sectors.h"

using namespace xbench::ptx;

XB_FOR_TESTS unsigned long long emu_reports() { return reports(); }
XB_FOR_TESTS unsigned long long emu_reports_of(int fault) { return reports_of(static_cast<Fault>(fault)); }
XB_FOR_TESTS const char* emu_last_report() { return last_report().c_str(); }
XB_FOR_TESTS void emu_mode(int races, int counts, int quiet) {
    options().races = races != 0;
    options().counts = counts != 0;
    options().quiet = quiet != 0;
}
XB_FOR_TESTS void emu_capability(int capability) { options().capability = capability; }
XB_FOR_TESTS void emu_threads(int threads) { options().threads = threads; }
XB_FOR_TESTS void emu_forgive() {
    const Machine::Lock lock;
    machine().forgive();
}
// Sums over the kernel's instructions, by class: warps, lanes, sectors, ideal sectors, wavefronts, ideal ones, FLOPs.
XB_FOR_TESTS void emu_counts(CUfunction function, unsigned long long (*by_class)[7]) {
    const Kernel& kernel = *function->kernel;
    for (size_t i = 0; i < kernel.code.size(); ++i) {
        unsigned long long* const row = by_class[static_cast<size_t>(kernel.code[i].counted_as)];
        const Counter& counter = kernel.counters[i];
        const bool matrix = kernel.code[i].counted_as == Class::matrix;
        const std::array<uint64_t, 7> values{counter.warps,
                                             counter.lanes,
                                             counter.sectors,
                                             counter.ideal_sectors,
                                             counter.wavefronts,
                                             counter.ideal_wavefronts,
                                             (matrix ? counter.warps : counter.lanes) * kernel.code[i].flops};
        for (size_t v = 0; v < values.size(); ++v) row[v] += values[v];
    }
}
XB_FOR_TESTS void emu_reset_counts(CUfunction function) { reset_counts(*function->kernel); }
// All that is counted of a kernel (counts.h).
XB_FOR_TESTS void emu_kernel_counts(CUfunction function, KernelCounts* counts) { *counts = counts_of(*function->kernel); }
XB_FOR_TESTS const char* emu_class_name(int of) { return name_of(static_cast<Class>(of)); }

// ---- for the double of NCCL: operations that may not be ready, and device memory in their bodies

// `poll` is called with the machine's lock, until it gives something else than CUDA_ERROR_NOT_READY; once more for each
// launch of a graph that captured it. `release` is called when nobody will call it again.
XB_FOR_TESTS CUresult emu_enqueue(CUstream stream, CUresult (*poll)(void*), void* data, void (*release)(void*)) {
    const Machine::Lock lock;
    const std::shared_ptr<void> owned(data, release);
    return machine().enqueue(stream, {CU_GRAPH_NODE_TYPE_KERNEL, [=] { return poll(owned.get()); }, nullptr, true});
}
XB_FOR_TESTS int emu_stream_device(CUstream stream) {
    const Machine::Lock lock;
    if (!machine().knows(stream)) return -1;
    return Machine::is_null(stream) ? Machine::current_device() : stream->device;
}
// The device whose living allocation holds the range; -1: none does.
XB_FOR_TESTS int emu_device_of(CUdeviceptr address, size_t bytes) {
    const int device = device_of(address);
    return device >= 0 && device_memory(device).inside(address, bytes) ? device : -1;
}
// With the shadow of each byte (types.h), so that a copy of what nobody wrote stays that.
XB_FOR_TESTS void emu_read(void* to, unsigned char* shadow, CUdeviceptr from, size_t bytes) {
    const DeviceMemory& memory = device_memory(device_of(from));
    std::memcpy(to, memory.host(from), bytes);
    std::memcpy(shadow, memory.shadow(from), bytes);
}
XB_FOR_TESTS void emu_write(CUdeviceptr to, const void* from, const unsigned char* shadow, size_t bytes) {
    const DeviceMemory& memory = device_memory(device_of(to));
    std::memcpy(memory.host(to), from, bytes);
    std::memcpy(memory.shadow(to), shadow, bytes);
}
XB_FOR_TESTS void emu_report(const char* text) { report(Fault::collective, text); }
// Runs streams of the device that have a collective before them, up to it and through it.
XB_FOR_TESTS void emu_advance_collectives(int device) {
    const Machine::Lock lock;
    machine().advance_collectives(device);
}
