// Kernels that write large images past the caches must give the bits that they give for small ones. These are too large for
// the oracle, so every image is computed once more on its own, which is below the threshold.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>

#include "core/memory.h"
#include "kernels/cases/problem_data.h"
#include "kernels/run.h"
#include "problems.h"

namespace xbench {
namespace {

constexpr int64_t images = 4;

bool has_images(const KernelTensor& tensor) { return tensor.rank >= 2 && tensor.dim[0] == images; }

// The same call for one image; the rest of the operands are those of the whole batch.
KernelArgs of_image(KernelArgs args, int64_t image) {
    const auto cut = [&](KernelTensor& tensor) {
        if (!has_images(tensor)) return;
        tensor.data = static_cast<char*>(tensor.data) + image * stored_bytes_of(tensor) / images;
        tensor.dim[0] = 1;
    };
    for (int i = 0; i < args.n_in; ++i) cut(args.in[i]);
    for (int i = 0; i < args.n_out; ++i) cut(args.out[i]);
    return args;
}

void expect_same_bits(const LayerProblem& problem, const Kernel& kernel, const ProblemData& data) {
    KernelArgs args = data.args();
    const auto bytes = static_cast<size_t>(stored_bytes_of(args.out[0]));
    ASSERT_GE(bytes, size_t{32} << 20) << "below the threshold of kernels/simd/chunk.h";
    AlignedBuffer whole(bytes), parts(bytes);  // on whole lines, which streams need
    args.out[0].data = whole.data();
    run_kernel(kernel, args, 2);
    args.out[0].data = parts.data();
    for (int64_t image = 0; image < images; ++image) run_kernel(kernel, of_image(args, image), 1);
    EXPECT_EQ(std::memcmp(whole.data(), parts.data(), bytes), 0) << row_name(kernel) << "\n  " << problem.text();
}

// 8,388,608 floats each.
TEST(PastCaches, LargeImagesHaveTheBitsOfSmallOnes) {
    const std::set<OpKind> writers{OpKind::batchnorm_apply,
                                   OpKind::batchnorm_grad_input,
                                   OpKind::batchnorm_pool_grad_input,
                                   OpKind::relu,
                                   OpKind::relu_grad,
                                   OpKind::add,
                                   OpKind::max_pool2d_grad,
                                   OpKind::global_avg_pool_grad};
    std::map<OpKind, int> seen;
    for (const char* line :
         {"batchnorm n4 c32 h256 relu", "batchnorm_pool n4 c32 h256 relu", "relu n4 c32 h256", "add n4 c32 h256 relu",
          "max_pool2d n4 c32 h256 r2", "max_pool2d n4 c32 h256 r3 stride2 pad1", "global_avg_pool n4 c32 h256"})
        for (const LayerProblem& problem : parse_problem(line, line)) {
            if (!writers.count(problem.op) || problem.out[0].layout != Layout::nchw16c) continue;
            const ProblemData data(problem, DataKind::random, 1);
            for (const Kernel* kernel : rows_for(problem)) {
                if (is_reference(*kernel)) continue;
                expect_same_bits(problem, *kernel, data);
                ++seen[problem.op];
            }
        }
    for (const OpKind op : writers) EXPECT_GT(seen[op], 0) << name_of(op);
}

}  // namespace
}  // namespace xbench
