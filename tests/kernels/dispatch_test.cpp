// Which row the registry chooses for each problem, for each instruction set, as a text file to review: a change of dispatch
// shows in the diff of tests/kernels/golden_dispatch.txt. XBENCH_UPDATE_GOLDEN=1 writes the file anew.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "core/error.h"
#include "kernels/products.h"
#include "problems.h"

namespace xbench {
namespace {

const std::string golden_path = std::string(XB_SOURCE_DIR) + "/tests/kernels/golden_dispatch.txt";

bool has_rows(Isa isa) {
    for (const Kernel& kernel : kernel_table())
        if (kernel.isa == isa) return true;
    return false;
}

// "conv2d 8x1x64x64 plain, ... -> ... | direct_rows portable, direct_rows avx2, direct_rows avx512"
std::string dispatch_table() {
    std::set<std::string> lines;  // problems that differ in leaves or names only are one line
    for (const LayerProblem& problem : all_problems()) {
        std::string line = to_string(problem.problem()) + " |";
        for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
            const Kernel& row = select(problem.problem(), Target{isa});
            line += std::string(isa == Isa::portable ? " " : ", ") + row.name + " " + name_of(row.isa);
        }
        if (products_of(problem.problem()) == DType::bf16) {
            const Kernel& row = select(problem.problem(), Target{Isa::avx512_bf16});
            line += std::string(", ") + row.name + " " + name_of(row.isa);
        }
        lines.insert(line);
    }
    std::string text =
        "# problem | the row chosen for portable, avx2, avx512 and, in bf16, avx512_bf16. Made by XBENCH_UPDATE_GOLDEN=1 "
        "test_kernels\n";
    for (const std::string& line : lines) text += line + "\n";
    return text;
}

std::vector<std::string> lines_of(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

TEST(Dispatch, IsTheOneThatWasReviewed) {
    if (!has_rows(Isa::avx2) || !has_rows(Isa::avx512_bf16)) GTEST_SKIP() << "built without AVX2 or AVX-512 rows";
    const std::string now = dispatch_table();
    if (std::getenv("XBENCH_UPDATE_GOLDEN")) {
        std::ofstream(golden_path) << now;
        GTEST_SKIP() << "wrote " << golden_path;
    }
    std::ifstream file(golden_path);
    ASSERT_TRUE(file) << golden_path << " is missing; run with XBENCH_UPDATE_GOLDEN=1";
    std::stringstream golden;
    golden << file.rdbuf();
    const auto expected = lines_of(golden.str()), actual = lines_of(now);
    std::vector<std::string> gone, come;
    std::set_difference(expected.begin(), expected.end(), actual.begin(), actual.end(), std::back_inserter(gone));
    std::set_difference(actual.begin(), actual.end(), expected.begin(), expected.end(), std::back_inserter(come));
    EXPECT_THAT(come, testing::IsEmpty()) << "new lines; run with XBENCH_UPDATE_GOLDEN=1 and review the diff";
    EXPECT_THAT(gone, testing::IsEmpty()) << "lines of the golden file that are no longer so";
}

// Another algorithm on another rank count would be another result.
TEST(Dispatch, IgnoresBatchAndLeaves) {
    for (const LayerProblem& problem : all_problems()) {
        Problem small = problem.problem(), large = small;
        const int64_t batch = problem.images();
        for (Problem* p : {&small, &large})
            for (KernelTensor* tensors : {p->in, p->out})
                for (int i = 0; i < 3; ++i)
                    if (tensors[i].rank == 4 && tensors[i].dim[0] == batch &&
                        !(tensors == p->in && i == 1 && p->op == OpKind::conv2d))
                        tensors[i].dim[0] = p == &small ? 1 : 1000;
        small.leaves = 1, large.leaves = 64;
        for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512, Isa::avx512_bf16})
            EXPECT_EQ(&select(small, Target{isa}), &select(large, Target{isa})) << problem.text();
    }
}

TEST(Dispatch, ForcesARowAndSaysWhyItCannot) {
    const LayerProblem problem = parse_problem("relu n2 c8 h4", "test").front();
    const Choice reference_row{"relu", "reference"}, unknown{"relu", "imaginary"}, other{"add", "imaginary"};
    EXPECT_STREQ(select(problem.problem(), Target{}, {&reference_row, 1}).name, "reference");
    EXPECT_STREQ(select(problem.problem(), Target{}, {&other, 1}).name, "vector");
    try {
        select(problem.problem(), Target{}, {&unknown, 1});
        FAIL() << "a row that does not exist was forced";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::usage);
        for (const char* part : {"imaginary", "relu 2x8x4x4 plain", "vector (portable)", "reference (portable)"})
            EXPECT_THAT(error.what(), testing::HasSubstr(part));
    }
}

// A row that is slower for a problem is not chosen for it, but can be forced.
TEST(Dispatch, LeavesOutWhatWouldNotWin) {
    for (const LayerProblem& layer : parse_problem("conv2d n2 c4 h12 k16 r3 pad1", "test")) {
        const Problem problem = layer.problem();
        const Choice forced{name_of(layer.op), "winograd43"};
        for (const Kernel& row : kernel_table()) {
            if (row.op != layer.op || std::string(row.name) != "winograd43" || !supports(row, problem)) continue;
            EXPECT_FALSE(is_candidate(row, problem)) << layer.text();
            EXPECT_STRNE(select(problem, Target{row.isa}).name, "winograd43") << layer.text();
            EXPECT_EQ(&select(problem, Target{row.isa}, {&forced, 1}), &row) << layer.text();
        }
    }
}

// The sums of many channels leave the caches of a processor that has only AVX2, in wgrad on few tiles first with the larger
// tiles; no row of a lesser instruction set steps in.
TEST(Dispatch, WinogradGradientOfFiltersStepsBackForManyChannelsOnFewTiles) {
    if (!has_rows(Isa::avx2) || !has_rows(Isa::avx512)) GTEST_SKIP() << "built without AVX2 or AVX-512 rows";
    const auto chosen = [](const char* text, OpKind op, Isa isa) {
        std::string rows;
        for (const LayerProblem& layer : parse_problem(text, "test")) {
            const Problem problem = layer.problem();
            if (layer.op != op || problem.in[0].layout != Layout::nchw16c) continue;
            const Kernel& row = select(problem, Target{isa});
            rows += std::string(row.name) + " " + name_of(row.isa);
        }
        return rows;
    };
    const char *some = "conv2d n1 c128 h14 k128 r3 pad1", *many = "conv2d n1 c256 h14 k256 r3 pad1";
    const char* most = "conv2d n1 c512 h7 k512 r3 pad1";
    for (const OpKind op : {OpKind::conv2d, OpKind::conv2d_dgrad})
        for (const char* text : {some, many, most}) {
            EXPECT_EQ(chosen(text, op, Isa::avx2), "winograd43 avx2") << text;
            EXPECT_EQ(chosen(text, op, Isa::avx512), "winograd43 avx512") << text;
        }
    const OpKind wgrad = OpKind::conv2d_wgrad;
    EXPECT_EQ(chosen(some, wgrad, Isa::avx2), "winograd43 avx2");
    EXPECT_EQ(chosen(many, wgrad, Isa::avx2), "winograd23 avx2");
    EXPECT_EQ(chosen(most, wgrad, Isa::avx2), "direct_blocked avx2");
    EXPECT_EQ(chosen(many, wgrad, Isa::avx512), "winograd43 avx512");
}

TEST(Dispatch, NamesOperatorShapesAndRowsWhenNothingFits) {
    Problem problem = parse_problem("relu n2 c8 h4", "test").front().problem();
    problem.in[0].dtype = problem.out[0].dtype = DType::i64;
    try {
        select(problem, Target{});
        FAIL() << "there is a kernel for integers";
    } catch (const Error& error) {
        for (const char* part : {"relu", "2x8x4x4 i64", "reference (portable)"})
            EXPECT_THAT(error.what(), testing::HasSubstr(part));
    }
}

TEST(Dispatch, ReferencesComeLastAndAreForEveryOperator) {
    for (const LayerProblem& problem : all_problems()) EXPECT_STREQ(reference(problem.op).name, "reference");
}

TEST(ProblemList, SaysWhereAndWhatIsWrong) {
    for (const char* line : {"conv3d n1", "conv2d n1 zebra4", "conv2d n1 n2", "conv2d n=1", "conv2d nx", "conv2d n0 c1 h4",
                             "max_pool2d n1 c1 h2 r3", "conv2d n1 c1 h4 relu=1"}) {
        try {
            parse_problem(line, "problems.cfg:7");
            ADD_FAILURE() << "accepted: " << line;
        } catch (const Error& error) {
            EXPECT_THAT(error.what(), testing::HasSubstr("problems.cfg:7")) << line;
        }
    }
    EXPECT_TRUE(parse_problem("   # only a comment", "x").empty());
}

}  // namespace
}  // namespace xbench
