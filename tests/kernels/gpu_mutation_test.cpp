// The tensor cores' kernels with a barrier, a wait or a mask left out: the emulated GPU or the comparison with the reference
// must notice each, in every kind of kernel, or the tests above it prove little. And the counts that say how well they use
// memory.
#include <gtest/gtest.h>

#ifdef XB_MUTATIONS

#include <array>
#include <fstream>
#include <sstream>

#include "core/error.h"
#include "emulated_gpu.h"
#include "kernels/cases/device_data.h"
#include "kernels/conv2d/implicit_gemm/launch.h"
#include "kernels/cuda/devices.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/mutation.h"
#include "kernels/op.h"
#include "problems.h"

namespace xbench {
namespace {

// Values for a class of instructions, as emu_counts gives them.
struct Counts {
    unsigned long long warps, lanes, sectors, ideal_sectors, wavefronts, ideal_wavefronts, flops;
};
enum CountedClass {
    global_load = 7,
    global_store = 8,
    shared_load = 9,
    async_copy = 14,
    ldmatrix = 15,
    matrix = 16,
    classes = 20
};
typedef std::array<Counts, classes> CountsByClass;

class GpuMutations : public testing::Test {
protected:
    void SetUp() override {
        if (!query_gpus().emulated) GTEST_SKIP() << "not on the emulated GPU";
        device_ = make_cuda_device(0);
    }
    void TearDown() override {
        if (!device_) return;
        replace(Mutation::none);
        mode(0, 0, 0);
    }
    static void mode(int races, int counts, int quiet) {
        test::function_of_emulator<void(int, int, int)>("emu_mode")(races, counts, quiet);
    }
    static void replace(Mutation mutation) {
        std::stringstream text;
        text << std::ifstream(std::string(XB_MUTATIONS) + "/implicit_gemm_bf16." +
                              std::to_string(static_cast<int>(mutation)) + ".ptx")
                    .rdbuf();
        CudaGpu::of(0).replace("implicit_gemm_bf16", text.str().c_str());
    }
    static const Kernel& row(const LayerProblem& problem) {
        const Target target{Isa::portable, DeviceKind::cuda, 80};
        for (const Kernel& kernel : kernel_table())
            if (kernel.op == problem.op && runs_on(kernel, target) && supports(kernel, problem.problem()) &&
                std::string_view(kernel.name) != "leaf_outer")  // has neither barriers nor copies
                return kernel;
        throw Error("no row for " + problem.text(), "test");
    }
    // What was noticed, or "".
    std::string noticed(const LayerProblem& problem) const {
        const auto before = test::reports_of_emulator();
        const ProblemData data(problem, DataKind::random, 1);
        std::string what;
        try {
            const Comparison result =
                check_kernel_on(*device_, row(problem), data, Oracle(data), tolerance_of(problem), false);
            if (!result.ok) what = result.message;
        } catch (const Error& error) {
            what = error.what();
            test::forgive_emulator();
        }
        return test::reports_of_emulator() > before ? test::last_report_of_emulator() : what;
    }

    std::unique_ptr<Device> device_;
};

// Sizes that fill no tile: the last rows, columns and steps of K are partly past the end. The kernels that they take,
// forward, dgrad and wgrad.
const char* const lines[] = {
    "conv2d n2 c16 h9 w11 k20 r3 pad1 leaves2 bf16 name=narrow,narrow,lowest",
    "conv2d n2 c48 h8 w9 k36 r3 pad1 leaves2 bf16 name=medium,medium,low",
    "conv2d n1 c68 h9 w11 k68 r3 pad1 bf16 name=wide,wide,wide",
    "conv2d n2 c5 h7 w10 k12 r3 pad1 leaves2 bf16 name=odd,odd,stem",
    "conv2d n2 c7 h7 w10 k7 r3 pad1 leaves2 bf16 name=odd,odd,odd",
    "linear n5 f72 k20 leaves2 bf16 name=low,crossed_low,lowest",
    "linear n5 f71 k21 leaves2 bf16 name=odd,crossed_odd,odd",
};

// A linear layer has no pixels outside of its images.
bool is_without_effect(const LayerProblem& problem, Mutation mutation) {
    return mutation == Mutation::no_source_mask && problem.in[0].rank == 2;
}

TEST_F(GpuMutations, AreNoticedInEveryKernel) {
    constexpr Mutation all[] = {Mutation::no_barrier, Mutation::no_wait,        Mutation::no_source_mask,
                                Mutation::no_k_mask,  Mutation::no_column_mask, Mutation::no_store_mask};
    mode(1, 0, 1);
    for (const char* line : lines)
        for (const LayerProblem& plain : parse_problem(line, "test")) {
            const LayerProblem problem = in_nhwc(plain);
            if (problem.in[0].layout == Layout::nchw16c || problem.out[0].layout == Layout::nchw16c ||
                problem.in[1].layout == Layout::nchw16c)
                continue;
            replace(Mutation::none);
            EXPECT_EQ(noticed(problem), "") << problem.text();
            for (const Mutation mutation : all) {
                if (is_without_effect(problem, mutation)) continue;
                replace(mutation);
                EXPECT_NE(noticed(problem), "") << "mutation " << static_cast<int>(mutation) << " of " << problem.text();
            }
        }
}

CountsByClass counts_of(const CudaFunction& function) {
    CountsByClass counts{};
    const CUfunction loaded = CudaGpu::of(0).load(function).function;
    test::function_of_emulator<void(CUfunction, Counts*)>("emu_counts")(loaded, counts.data());
    return counts;
}

// Sectors and wavefronts against the fewest that could bring the same bytes, and the products of the problem against those
// of its tiles.
void expect_economy(const CudaFunction& function, double flops) {
    SCOPED_TRACE(function.name);
    const CountsByClass counts = counts_of(function);
    for (const int at : {global_load, global_store, async_copy}) {
        const Counts& c = counts[static_cast<size_t>(at)];
        EXPECT_LE(static_cast<double>(c.sectors), 1.15 * static_cast<double>(c.ideal_sectors)) << "class " << at;
    }
    for (const int at : {shared_load, ldmatrix}) {
        const Counts& c = counts[static_cast<size_t>(at)];
        EXPECT_LE(static_cast<double>(c.wavefronts), 1.1 * static_cast<double>(c.ideal_wavefronts)) << "class " << at;
    }
    EXPECT_GT(counts[async_copy].sectors, 0u);
    EXPECT_EQ(static_cast<double>(counts[matrix].flops), flops) << "of whole tiles";
}

TEST_F(GpuMutations, TheCleanKernelsWasteNoSectorAndNoWavefront) {
    mode(0, 1, 1);
    struct Case {
        const char* line;
        const TiledFunction *forward, *dgrad, *wgrad;
    };
    const Case cases[] = {
        {"conv2d n2 c32 h8 k32 r3 pad1 leaves2 bf16", &gather_narrow, &gather_narrow, &filters_lowest},
        {"conv2d n2 c64 h8 k64 r3 pad1 leaves2 bf16", &gather_medium, &gather_medium, &filters_low},
        {"conv2d n2 c128 h8 k128 r1 leaves2 bf16", &gather_wide, &gather_crossed, &filters_wide},
    };
    for (const Case& one : cases) {
        replace(Mutation::none);
        double flops = 0;
        for (const LayerProblem& plain : parse_problem(one.line, "test")) {
            const LayerProblem problem = in_nhwc(plain);
            if (problem.in[0].layout != Layout::nhwc || problem.out[0].layout == Layout::nchw16c) continue;
            flops = op_def(problem.op).work(problem.problem()).flops;
            EXPECT_EQ(noticed(problem), "") << problem.text();
        }
        expect_economy(one.forward == one.dgrad ? one.forward->bf16 : one.dgrad->bf16,
                       one.forward == one.dgrad ? 2 * flops : flops);
        if (one.forward != one.dgrad) expect_economy(one.forward->bf16, flops);
        const CountsByClass counts = counts_of(one.wgrad->bf16);
        EXPECT_GE(static_cast<double>(counts[matrix].flops), flops);
        expect_economy(one.wgrad->bf16, static_cast<double>(counts[matrix].flops));
    }
}

}  // namespace
}  // namespace xbench

#endif
