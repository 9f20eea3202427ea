// What kernels for CUDA did, as the emulated GPU counts it (docs/gpu_emulator.md): for tests that assert on it, and for
// predictions. A real GPU counts nothing here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/device.h"

namespace xbench {

constexpr int counted_gpu_classes = 20;  // of instructions; their names: emu_class_name(i) of the emulated driver

// Plain data, over all launches of one __global__ function since its counts were zeroed. The emulated driver fills it.
struct GpuCounts {
    uint64_t launches, blocks;
    uint64_t warp_instructions, lane_instructions;
    uint64_t warps_of_class[counted_gpu_classes];
    uint64_t f32_flops, f64_flops, half_flops;  // of lanes; a fused multiply-add counts 2
    uint64_t bf16_matrix_flops, f16_matrix_flops, tf32_matrix_flops;
    uint64_t global_requests, global_sectors;                    // of 32 bytes, each access by itself
    uint64_t ideal_sectors;                                      // if the bytes of each access lay side by side
    uint64_t compulsory_read_sectors, compulsory_write_sectors;  // different ones in a launch, summed over launches
    uint64_t shared_requests, shared_wavefronts, ideal_shared_wavefronts;
    uint64_t barriers, divergent_branches, local_accesses;  // of warps
    // As ptxas compiled it, where the module came with a cubin; else registers as the emulator placed them.
    int32_t registers, stack_bytes, static_shared_bytes;
    // Of the last launch.
    int32_t block_threads, dynamic_shared_bytes, blocks_per_multiprocessor, warps_per_multiprocessor;
};

struct CountedKernel {
    std::string name;  // of the __global__ function
    GpuCounts counts;
};
// The functions that one row launched.
struct CountedRow {
    std::string row, operation;  // "implicit_gemm_bf16", "conv2d"
    std::vector<CountedKernel> kernels;
};

// Counts every row that the device launches while this lives, each by itself: the device waits after each. Nothing may be
// recorded into a graph meanwhile. Throws UsageError where the device is not an emulated GPU.
class GpuCounter {
public:
    explicit GpuCounter(Device& device);
    ~GpuCounter();
    GpuCounter(const GpuCounter&) = delete;
    GpuCounter& operator=(const GpuCounter&) = delete;

    std::vector<CountedRow> take();  // those since the last call, in their order

private:
    struct State;
    const std::unique_ptr<State> state_;
};

}  // namespace xbench
