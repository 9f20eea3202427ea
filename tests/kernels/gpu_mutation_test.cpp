// Seeded faults in the kernels for GPUs (gpu_mutations.h): a barrier, a wait or a guard left out, a rim, a stride, a
// fragment or a counter that is wrong, sums in another order. Each is built from a changed copy of the source and called as
// the conformance tests call rows, with checks for races; then by halves of the batch; then counted. Something must notice
// it, and nothing the kernel as it is, or the tests above it prove little. And the counts that say how well the products use
// memory.
#include <gtest/gtest.h>

#ifdef XB_NVCC

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <regex>
#include <sstream>

#include "counted_calls.h"
#include "gpu_mutations.h"
#include "gpu_rows.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/images.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
}

void write(const fs::path& file, const std::string& text) {
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
}

// Where `wanted` stands in `text`, whatever the spaces between words: begin and end of each place.
std::vector<std::pair<size_t, size_t>> places_of(const std::string& text, const std::string& wanted) {
    std::string dense, dense_wanted;
    std::vector<size_t> at;
    const auto is_space = [](char c) { return c == ' ' || c == '\n'; };
    for (size_t i = 0; i < text.size(); ++i)
        if (!is_space(text[i])) dense += text[i], at.push_back(i);
    for (const char c : wanted)
        if (!is_space(c)) dense_wanted += c;
    std::vector<std::pair<size_t, size_t>> places;
    for (size_t from = 0; (from = dense.find(dense_wanted, from)) != std::string::npos; from += dense_wanted.size())
        places.emplace_back(at[from], at[from + dense_wanted.size() - 1] + 1);
    return places;
}

// Without the one-line calls of macros that make other kernels than this one: less to compile.
std::string with_kernels(const std::string& text, const char* only) {
    static const std::regex call(R"(^XB_[A-Z_]+\((\w+)\b.*\)$)");
    std::istringstream lines(text);
    std::string kept, line;
    std::smatch found;
    while (std::getline(lines, line))
        kept += (only && std::regex_match(line, found, call) && found[1] != only ? "" : line) + "\n";
    return kept;
}

fs::path source_of(const std::string& stem) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(XB_SOURCE_DIR) / "kernels"))
        if (entry.path().filename() == stem + ".cu") return fs::relative(entry.path(), XB_SOURCE_DIR);
    throw Error("there is no file " + stem + ".cu", "gpu_mutations.h");
}

// The changed files in a folder of their own, in front of the source tree.
class MutatedSource {
public:
    explicit MutatedSource(const SourceMutation& mutation)
        : mutation_(mutation), folder_(fs::path(XB_BINARY_DIR) / "mutations" / mutation.name) {
        fs::remove_all(folder_);
        const fs::path source = source_of(mutation.stem);
        for (const auto& entry : fs::directory_iterator(fs::path(XB_SOURCE_DIR) / source.parent_path()))
            if (entry.path().extension() == ".cuh" || entry.path().filename() == source.filename())
                write(folder_ / source.parent_path() / entry.path().filename(),
                      with_kernels(text_of(entry.path()), mutation.kernels));
        for (const Edit& edit : mutation.edits) apply(edit);
        compile(source);
    }
    ~MutatedSource() {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
    }
    MutatedSource(const MutatedSource&) = delete;
    MutatedSource& operator=(const MutatedSource&) = delete;

    std::string ptx() const { return text_of(folder_ / "mutant.ptx"); }

private:
    void apply(const Edit& edit) const {
        const fs::path copy = folder_ / edit.file;
        std::string text = text_of(fs::exists(copy) ? copy : fs::path(XB_SOURCE_DIR) / edit.file);
        const auto places = places_of(text, edit.text);
        if (places.size() != 1)
            throw Error(std::string("the mutation ") + mutation_.name + " finds its text " + std::to_string(places.size()) +
                            " times, not once: " + edit.text,
                        edit.file, "write it anew in tests/kernels/gpu_mutations.h as the kernel is now");
        text.replace(places[0].first, places[0].second - places[0].first, edit.becomes);
        write(copy, text);
    }
    void compile(const fs::path& source) const {
        const std::string folder = folder_.string();
        const std::string command = std::string("'") + XB_NVCC + "' -ptx -arch=sm_80 -O3 -lineinfo -std=c++20 -I'" + folder +
                                    "' -I'" XB_SOURCE_DIR "' '" + folder + "/" + source.string() + "' -o '" + folder +
                                    "/mutant.ptx' > '" + folder + "/log' 2>&1";
        if (std::system(command.c_str()) != 0)
            throw Error(std::string("the mutation ") + mutation_.name + " does not compile: " + text_of(folder_ / "log"),
                        source.string());
    }

    const SourceMutation& mutation_;
    const fs::path folder_;
};

LayerProblem as_it_lies(const LayerProblem& problem, Lies lies) {
    switch (lies) {
        case Lies::nhwc: return in_nhwc(problem);
        case Lies::nhwc_with_plain_filters: return with_plain_filters(in_nhwc(problem));
        case Lies::first_layer: return as_first_layer(problem);
        default: return problem;
    }
}

class GpuMutations : public GpuRows {
protected:
    void SetUp() override {
        GpuRows::SetUp();
        if (!IsSkipped() && !system_.emulated) GTEST_SKIP() << "not on the emulated GPU";
    }
    void TearDown() override {
        if (!device_ || IsSkipped()) return;
        mode(0);
        GpuRows::TearDown();
    }
    static void mode(int races) { test::function_of_emulator<void(int, int, int)>("emu_mode")(races, 0, 1); }
    // The call of the operation that the row computes: its problem and the row.
    std::pair<LayerProblem, const Kernel*> find(const char* operation, const char* row, Lies lies, const char* line) const {
        for (const LayerProblem& plain : parse_problem(line, "gpu_mutations.h")) {
            if (name_of(plain.op) != std::string_view(operation)) continue;
            const LayerProblem problem = as_it_lies(plain, lies);
            for (const Kernel* const kernel : rows_for(problem))
                if (kernel->name == std::string_view(row)) return {problem, kernel};
        }
        throw Error(std::string("no row ") + row + " computes " + operation + " of " + line, "gpu_mutations.h");
    }
    std::string noticed_by_reference(const Kernel& kernel, const LayerProblem& problem) const {
        mode(1);
        const ProblemData data(problem, DataKind::random, 1);
        const Comparison result =
            check_kernel_on(*device_, kernel, data, Oracle(data), tolerance_of(problem, kernel), false);
        return result.ok ? "" : result.message;
    }
    // What was noticed, or "". `clean`: what the kernel as it is moves; null: to be filled in.
    std::string noticed(const Kernel& kernel, const LayerProblem& problem, test::CallCounts& clean, bool counts_are_known) {
        const auto before = test::reports_of_emulator();
        std::string what;
        try {
            what = noticed_by_reference(kernel, problem);
            if (what.empty() && sums_over_images(problem.op) && splits(problem))
                what = difference_when_split(*device_, kernel, problem);
            if (what.empty() && test::reports_of_emulator() == before)
                what = noticed_by_counts(kernel, problem, clean, counts_are_known);
        } catch (const Error& error) {
            what = error.what();
            test::forgive_emulator();
        }
        reports_ = test::reports_of_emulator();
        return reports_ > before ? test::last_report_of_emulator() : what;
    }
    std::string noticed_by_counts(const Kernel& kernel, const LayerProblem& problem, test::CallCounts& clean,
                                  bool known) const {
        const test::CallCounts counts = test::CountedCalls(*device_).of(kernel, problem);
        if (!known) clean = counts;
        if (counts.accessed > 1.1 * clean.accessed) return "more sectors of global memory";
        return counts.wavefronts > 1.1 * clean.wavefronts ? "more passes over the banks of shared memory" : "";
    }
    static void restore(const std::string& stem) {
        for (const CudaImage& image : cuda_images())
            if (stem == image.stem) CudaGpu::of(0).replace(image.stem, image.data);
    }
};

class EachOfThem : public GpuMutations, public testing::WithParamInterface<SourceMutation> {};

TEST_P(EachOfThem, IsNoticed) {
    const SourceMutation& mutation = GetParam();
    const auto [problem, kernel] = find(mutation.operation, mutation.row, mutation.lies, mutation.problem);
    test::CallCounts clean;
    ASSERT_EQ(noticed(*kernel, problem, clean, false), "") << "of the kernel as it is: " << problem.text();
    const MutatedSource source(mutation);
    CudaGpu::of(0).replace(mutation.stem, source.ptx().c_str());
    const std::string what = noticed(*kernel, problem, clean, true);
    restore(mutation.stem);
    EXPECT_NE(what, "") << "nobody notices the mutation " << mutation.name << " in " << problem.text();
    std::cout << "noticed: " << mutation.name << ": " << what.substr(0, 240) << "\n";
}

INSTANTIATE_TEST_SUITE_P(GpuMutations, EachOfThem, testing::ValuesIn(source_mutations()),
                         [](const auto& entry) { return entry.param.name; });

// The sum over ranks is no row.
TEST_F(GpuMutations, ASumInAnotherOrderIsNoticed) {
    EXPECT_EQ(difference_of_sum(*device_, 5), "");
    const SourceMutation mutation{"sums_of_ranks_at_the_end",
                                  "sum",
                                  nullptr,
                                  {{"kernels/cuda/sum.cu", "left = addends.merges[k];", "left = 0;"}},
                                  "sum",
                                  "",
                                  Lies::plain,
                                  ""};
    const MutatedSource source(mutation);
    CudaGpu::of(0).replace("sum", source.ptx().c_str());
    EXPECT_NE(difference_of_sum(*device_, 5), "");
    restore("sum");
}

TEST_F(GpuMutations, ATextThatIsNotInTheSourceFailsByName) {
    SourceMutation mutation = source_mutations().front();
    mutation.name = "no_such_text";
    mutation.edits[0].text = "nobody wrote this";
    try {
        const MutatedSource source(mutation);
        FAIL() << "found it";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("no_such_text"), std::string::npos) << error.what();
    }
}

// Sectors and wavefronts against the fewest that could bring the same bytes, and the products of the problem against those
// of its tiles, of the kernels named xb_gather_* and xb_filters_*.
void expect_economy(const std::vector<CountedRow>& rows, double flops, bool is_padded) {
    double matrix_flops = 0;
    for (const CountedRow& row : rows)
        for (const auto& [name, c] : row.kernels) {
            if (c.bf16_matrix_flops == 0) continue;
            EXPECT_LE(static_cast<double>(c.global_sectors), 1.15 * static_cast<double>(c.ideal_sectors)) << name;
            EXPECT_LE(static_cast<double>(c.shared_wavefronts), 1.1 * static_cast<double>(c.ideal_shared_wavefronts))
                << name;
            EXPECT_GT(c.global_sectors, 0u) << name;
            matrix_flops += static_cast<double>(c.bf16_matrix_flops);
        }
    if (is_padded)
        EXPECT_GE(matrix_flops, flops);
    else
        EXPECT_EQ(matrix_flops, flops) << "of whole tiles";
}

TEST_F(GpuMutations, TheCleanKernelsWasteNoSectorAndNoWavefront) {
    for (const char* line : {"conv2d n2 c32 h8 k32 r3 pad1 leaves2 bf16", "conv2d n2 c64 h8 k64 r3 pad1 leaves2 bf16",
                             "conv2d n2 c128 h8 k128 r1 leaves2 bf16"})
        for (const char* operation : {"conv2d", "conv2d_dgrad", "conv2d_wgrad"}) {
            SCOPED_TRACE(std::string(operation) + " of " + line);
            const auto [problem, kernel] = find(operation, "implicit_gemm", Lies::nhwc, line);
            GpuCounter counter(*device_);
            ProblemData data(problem, DataKind::random, 1);
            compute_on(*device_, *kernel, data);
            expect_economy(counter.take(), op_def(problem.op).work(problem.problem()).flops,
                           problem.op == OpKind::conv2d_wgrad);
        }
}

}  // namespace
}  // namespace xbench

#endif
