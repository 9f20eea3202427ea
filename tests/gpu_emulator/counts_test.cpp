// Counts of kernels whose work is known.
#include "tests/gpu_emulator/counts.h"

#include <gtest/gtest.h>

#include "tests/gpu_emulator/test_gpu.h"

namespace {

using xbench::ptx::KernelCounts;

class Counts : public GpuTest {
protected:
    KernelCounts of(const char* name) const {
        KernelCounts counts{};
        symbol<void(CUfunction, KernelCounts*)>("emu_kernel_counts")(function(name), &counts);
        return counts;
    }
};

TEST_F(Counts, AreThoseOfTheWork) {
    load(XB_PTX);
    set_mode(Mode::counts);
    constexpr int n = 1000;
    const CUdeviceptr x = upload(std::vector<float>(1024)), y = upload(std::vector<float>(1024));
    for (int launches = 1; launches <= 2; ++launches)
        ASSERT_EQ(launch("saxpy", 4, 256, nullptr, n, 2.0f, x, y), CUDA_SUCCESS);
    const KernelCounts saxpy = of("saxpy");
    EXPECT_EQ(saxpy.launches, 2u);
    EXPECT_EQ(saxpy.blocks, 8u);
    EXPECT_EQ(saxpy.f32_flops, 2u * 2 * n);
    EXPECT_EQ(saxpy.global_requests, 2u * 3 * 32) << "two loads and a store of 32 warps";
    EXPECT_EQ(saxpy.compulsory_read_sectors, 2u * 2 * n * 4 / 32);
    EXPECT_EQ(saxpy.compulsory_write_sectors, 2u * n * 4 / 32);
    EXPECT_EQ(saxpy.global_sectors, saxpy.compulsory_read_sectors + saxpy.compulsory_write_sectors);
    EXPECT_EQ(saxpy.divergent_branches, 2u) << "the last warp's 8 lanes";
    EXPECT_EQ(saxpy.block_threads, 256);
    EXPECT_EQ(saxpy.warps_per_multiprocessor, 64);

    const CUdeviceptr a = upload(std::vector<uint32_t>(128)), b = upload(std::vector<uint32_t>(64)), c = allocate(512);
    ASSERT_EQ(launch("mma_tile", 1, 32, nullptr, a, b, c), CUDA_SUCCESS);
    EXPECT_EQ(of("mma_tile").bf16_matrix_flops, 2u * 16 * 8 * 16);

    ASSERT_EQ(launch("with_barrier", 1, 128, nullptr, x), CUDA_SUCCESS);
    EXPECT_EQ(of("with_barrier").barriers, 4u);
    EXPECT_EQ(of("with_barrier").shared_wavefronts, of("with_barrier").ideal_shared_wavefronts);
    EXPECT_EQ(of("with_barrier").ideal_shared_wavefronts, 8u) << "a store and a load of 4 warps";
    symbol<void(CUfunction)>("emu_reset_counts")(function("with_barrier"));
    EXPECT_EQ(of("with_barrier").launches, 0u);
}

}  // namespace
