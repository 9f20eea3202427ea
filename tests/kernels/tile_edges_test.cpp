// Convolution and linear kernels cut their work into register tiles of compiled sizes. These sweeps run every width, every
// number of channels and every number of images around those sizes, where the tiles' tails and borders lie, in exact
// arithmetic: one wrong lane shows. All rows, all three passes, all layouts; two threads.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/cases/compare.h"
#include "kernels/run.h"
#include "problems.h"

namespace xbench {
namespace {

// Runs all rows on all problems that a line stands for; returns how many runs that were.
int expect_exact(const std::string& line) {
    int runs = 0;
    for (const LayerProblem& problem : parse_problem(line, "test")) {
        const ProblemData data(problem, DataKind::exact, 1);
        const Oracle oracle(data);
        for (const Kernel* kernel : rows_for(problem)) {
            const double k = kernel->error_growth == 1 ? 0 : tolerance_of(problem, *kernel);
            const Comparison result = check_kernel(*kernel, data, oracle, 2, k);
            EXPECT_TRUE(result.ok) << row_name(*kernel) << "\n  " << problem.text() << "\n  " << result.message;
            ++runs;
        }
    }
    return runs;
}

TEST(TileEdges, EveryWidth) {
    for (int w = 1; w <= 50; ++w) {
        const std::string width = std::to_string(w);
        EXPECT_GT(expect_exact("conv2d n2 c5 h3 k19 r3 pad1 leaves2 w" + width), 0);
        expect_exact("conv2d n2 c5 h3 k19 r3 pad1 leaves2 bf16 w" + width);
        if (w % 3 == 1) expect_exact("conv2d n1 c3 h4 k33 r3 pad1 stride2 bf16 w" + width);
        if (w % 3 == 0) expect_exact("conv2d n1 c3 h4 k33 r3 pad1 stride2 w" + width);
        if (w % 3 == 1) expect_exact("conv2d n2 c6 h2 k9 r5 pad2 leaves2 w" + width);
        if (w >= 3 && w % 3 == 2) expect_exact("conv2d n2 c2 h4 k17 r3 w" + width);
    }
}

TEST(TileEdges, EveryNumberOfChannels) {
    for (int c = 1; c <= 35; ++c) {
        const std::string channels = std::to_string(c), others = std::to_string(36 - c);
        expect_exact("conv2d n2 h4 w6 r3 pad1 leaves2 c" + channels + " k" + others);
        expect_exact("conv2d n1 h3 w5 r1 c" + channels + " k" + others);
        expect_exact("conv2d n2 h4 w6 r3 pad1 leaves2 bf16 c" + channels + " k" + others);
    }
}

TEST(TileEdges, EveryFilterPositionOfAStem) {
    for (int c = 1; c <= 4; ++c)
        for (int s = 1; s <= 7; ++s)
            expect_exact("conv2d n2 h7 w9 k18 r3 pad_h1 pad_w2 leaves2 c" + std::to_string(c) + " s" + std::to_string(s));
}

TEST(TileEdges, EveryNumberOfImagesOutputsAndFeatures) {
    for (int i = 1; i <= 28; ++i) {
        const std::string a = std::to_string(i), b = std::to_string(29 - i);
        EXPECT_GT(expect_exact("linear f70 leaves3 n" + a + " k" + b), 0);
        expect_exact("linear n5 leaves2 k3 f" + std::to_string(7 * i));
        expect_exact("linear f70 leaves3 bf16 n" + a + " k" + b);
        expect_exact("linear n5 leaves2 k3 bf16 f" + std::to_string(7 * i));
    }
}

// A network that diverges must not look healthy behind its ReLUs.
TEST(TileEdges, NotANumberPassesReLU) {
    for (const std::string line : {"conv2d n1 c3 h5 w19 k20 r3 pad1 relu", "linear n3 f40 k5 relu",
                                   "linear n3 f40 k5 relu bf16", "conv2d n1 c3 h5 w19 k20 r3 pad1 relu bf16"})
        for (const LayerProblem& problem : parse_problem(line, "test")) {
            if (problem.op != OpKind::conv2d && problem.op != OpKind::linear) continue;
            for (const Kernel* kernel : rows_for(problem)) {
                ProblemData data(problem, DataKind::exact, 1);
                set_element(data.args().in[0], 0, std::numeric_limits<double>::quiet_NaN());
                run_kernel(*kernel, data.args(), 1);
                EXPECT_TRUE(std::isnan(element(data.args().out[0], 0))) << row_name(*kernel) << "\n  " << problem.text();
            }
        }
}

}  // namespace
}  // namespace xbench
