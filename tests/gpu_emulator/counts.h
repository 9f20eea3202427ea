// What a kernel did, counted in mode counts over all launches since the last emu_reset_counts. Plain data: tests declare
// emu_kernel_counts(CUfunction, KernelCounts*) with it and assert on it; XBENCH_GPU_COUNTS=FILE writes it as JSON at exit.
#pragma once

#include <cstdint>

namespace xbench::ptx {

constexpr int counted_classes = 20;  // of instructions; their names: emu_class_name(i)

struct KernelCounts {
    uint64_t launches, blocks;
    uint64_t warp_instructions, lane_instructions;
    uint64_t warps_of_class[counted_classes];
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

}  // namespace xbench::ptx
