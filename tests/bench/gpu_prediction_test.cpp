// What a kernel is bound by on a chip: counts made up so that one resource is the longest, and its time by hand.
#include "bench/base/gpu_prediction.h"

#include <gtest/gtest.h>

#include "bench/kernels/layer_prediction.h"
#include "core/error.h"

namespace xbench {
namespace {

// Enough warps everywhere that nothing waits: 108 multiprocessors with 100 blocks of 256 threads each.
GpuCounts counts_with_many_blocks() {
    GpuCounts counts{};
    counts.launches = 1;
    counts.blocks = 10800;
    counts.block_threads = 256;
    counts.blocks_per_multiprocessor = 8;
    return counts;
}

TEST(GpuPrediction, TheBusiestResourceBinds) {
    const GpuChip& a100 = find_gpu_chip("a100");
    struct Case {
        const char* bound;
        void (*set)(GpuCounts&);
        double seconds;
    };
    const Case cases[] = {
        {"matrix", [](GpuCounts& c) { c.bf16_matrix_flops = 312'000'000'000; }, 1e-3},
        {"matrix", [](GpuCounts& c) { c.tf32_matrix_flops = 156'000'000'000; }, 1e-3},
        {"memory", [](GpuCounts& c) { c.compulsory_read_sectors = 2'039'000'000 / 32; }, 1e-3},
        {"L2", [](GpuCounts& c) { c.global_sectors = 160 * 1'410'000; }, 1e-3},
        {"shared", [](GpuCounts& c) { c.shared_wavefronts = uint64_t{108} * 1'410'000; }, 1e-3},
        {"f32", [](GpuCounts& c) { c.f32_flops = uint64_t{108} * 128 * 1'410'000; }, 1e-3},
        {"issue", [](GpuCounts& c) { c.warp_instructions = uint64_t{108} * 4 * 1'410'000; }, 1e-3},
    };
    for (const Case& wanted : cases) {
        GpuCounts counts = counts_with_many_blocks();
        wanted.set(counts);
        const GpuPrediction prediction = predict(counts, a100);
        EXPECT_EQ(prediction.bound, wanted.bound);
        EXPECT_NEAR(prediction.seconds, wanted.seconds, 1e-7) << wanted.bound;
        EXPECT_EQ(prediction.launches, 1) << wanted.bound;
    }
}

TEST(GpuPrediction, OneBlockIsBoundByItsWarps) {
    GpuCounts counts{};
    counts.launches = 1;
    counts.blocks = 1;
    counts.block_threads = 64;
    counts.blocks_per_multiprocessor = 8;
    counts.warp_instructions = 2 * 1000;  // 1,000 of each of two warps, 4 cycles each
    const GpuPrediction prediction = predict(counts, find_gpu_chip("a100"));
    EXPECT_EQ(prediction.bound, "latency");
    EXPECT_NEAR(prediction.seconds, 4000 / 1.41e9, 1e-12);
}

TEST(GpuPrediction, BlocksAreNotCut) {
    GpuCounts counts = counts_with_many_blocks();
    counts.f32_flops = uint64_t{108} * 128 * 1'410'000;
    const double even = predict(counts, find_gpu_chip("a100")).seconds;
    counts.blocks = 109;  // one multiprocessor has two
    EXPECT_NEAR(predict(counts, find_gpu_chip("a100")).seconds / even, 2 * 108. / 109, 1e-9);
}

TEST(GpuPrediction, ARowIsTheSumOfItsKernelsBoundByTheLongest) {
    GpuCounts memory = counts_with_many_blocks(), matrix = counts_with_many_blocks();
    memory.compulsory_read_sectors = 2'039'000'000 / 32;
    matrix.bf16_matrix_flops = 624'000'000'000;
    const GpuPrediction row = predict(CountedRow{"a", "b", {{"one", memory}, {"two", matrix}}}, find_gpu_chip("a100"));
    EXPECT_EQ(row.bound, "matrix");
    EXPECT_NEAR(row.seconds, 3e-3, 1e-7);
    EXPECT_EQ(row.launches, 2);
}

// Filters are there once, images as often as there are images.
TEST(GpuPrediction, ManyImagesAreOneAndAsManyMoreAsTheSecond) {
    GpuCounts one = counts_with_many_blocks(), two = one;
    one.blocks = 10, two.blocks = 20;
    one.compulsory_read_sectors = 1000 + 30, two.compulsory_read_sectors = 1000 + 60;
    one.local_accesses = two.local_accesses = 7;  // the last of the sums
    one.registers = two.registers = 99;
    two.block_threads = 128;
    const CountedRow row = extrapolated({"a", "b", {{"k", one}}}, {"a", "b", {{"k", two}}}, 64);
    ASSERT_EQ(row.kernels.size(), 1u);
    const GpuCounts& all = row.kernels[0].counts;
    EXPECT_EQ(all.launches, 1u);
    EXPECT_EQ(all.blocks, 640u);
    EXPECT_EQ(all.compulsory_read_sectors, 1000u + 64 * 30);
    EXPECT_EQ(all.local_accesses, 7u);
    EXPECT_EQ(all.registers, 99);
    EXPECT_EQ(all.block_threads, 128);
    EXPECT_EQ(extrapolated({"a", "b", {{"k", one}}}, {"a", "b", {{"k", two}}}, 2).kernels[0].counts.blocks, 20u);
    EXPECT_EQ(extrapolated({"a", "b", {{"k", one}}}, {"a", "b", {{"k", two}}}, 1).kernels[0].counts.blocks, 10u);
    EXPECT_THROW(extrapolated({"a", "b", {{"k", one}}}, {"other", "b", {{"k", two}}}, 64), Error);
}

TEST(GpuPrediction, AnUnknownChipIsAUsageError) { EXPECT_THROW(find_gpu_chip("v100"), UsageError); }

}  // namespace
}  // namespace xbench
