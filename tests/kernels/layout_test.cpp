// Where elements lie in each layout, and nhwc: the references give the same bits in it as on plain operands, reorder brings
// them there and back, and no other row of the CPU takes it for plain.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "core/rng.h"
#include "core/tensor.h"
#include "kernels/op.h"
#include "kernels/run.h"
#include "problems.h"

namespace xbench {
namespace {

TEST(Layouts, ElementsLieWhereTheLayoutSays) {
    const Shape images{2, 20, 3, 5};
    const int64_t n = 1, c = 17, h = 2, w = 4, element = ((n * 20 + c) * 3 + h) * 5 + w;
    EXPECT_EQ(stored_index(images, Layout::plain, element), element);
    EXPECT_EQ(stored_index(images, Layout::nhwc, element), ((n * 3 + h) * 5 + w) * 20 + c);
    EXPECT_EQ(stored_index(images, Layout::nchw16c, element), (((n * 2 + c / 16) * 3 + h) * 5 + w) * 16 + c % 16);
    EXPECT_EQ(stored_elements(images, Layout::nhwc), images.elements());
    EXPECT_EQ(stored_bytes(images, DType::bf16, Layout::nhwc), 2u * 2 * 20 * 3 * 5);
    EXPECT_STREQ(name_of(Layout::nhwc), "nhwc");
}

TEST(Layouts, EachElementHasAPlaceOfItsOwn) {
    for (const Shape& shape : {Shape{2, 20, 3, 5}, Shape{3, 1, 4, 4}, Shape{1, 16, 1, 1}, Shape{7, 3, 2, 1}, Shape{4, 9}})
        for (const Layout layout : {Layout::plain, Layout::nchw16c, Layout::nhwc}) {
            std::set<int64_t> places;
            for (int64_t i = 0; i < shape.elements(); ++i) places.insert(stored_index(shape, layout, i));
            EXPECT_EQ(static_cast<int64_t>(places.size()), shape.elements()) << to_string(shape) << name_of(layout);
            EXPECT_GE(*places.begin(), 0);
            EXPECT_LT(*places.rbegin(), stored_elements(shape, layout)) << to_string(shape) << name_of(layout);
        }
}

std::vector<KernelTensor*> images_of(LayerProblem& problem) {
    std::vector<KernelTensor*> all;
    for (auto* operands : {&problem.in, &problem.out})
        for (KernelTensor& tensor : *operands)
            if (tensor.rank == 4) all.push_back(&tensor);
    return all;
}

void expect_same_elements(const ProblemData& a, const ProblemData& b) {
    for (int i = 0; i < a.args().n_out; ++i)
        for (int64_t k = 0; k < elements_of(a.args().out[i]); ++k) {
            const double left = element(a.args().out[i], k), right = element(b.args().out[i], k);
            ASSERT_EQ(std::memcmp(&left, &right, sizeof left), 0)
                << a.problem().text() << ", output " << i << ", element " << k << ": " << left << " and " << right;
        }
}

// All images in nhwc, and each of them in a layout drawn at random.
TEST(Layouts, ReferencesGiveTheSameBitsInAll) {
    Random random(1, RandomUse::test_data, 0);
    int compared = 0;
    for (LayerProblem problem : all_problems()) {
        const Work work = op_def(problem.op).work(problem.problem());
        if (images_of(problem).empty() || std::max(work.flops, work.bytes) > 3e5) continue;  // slow
        for (KernelTensor* image : images_of(problem)) image->layout = Layout::plain;
        LayerProblem mixed = problem;
        for (KernelTensor* image : images_of(mixed)) image->layout = static_cast<Layout>(random.below(3));
        ProblemData plain(problem, DataKind::random, 5), nhwc(in_nhwc(problem), DataKind::random, 5),
            drawn(mixed, DataKind::random, 5);
        for (ProblemData* data : {&plain, &nhwc, &drawn}) run_kernel(reference(problem.op), data->args(), 1);
        expect_same_elements(plain, nhwc);
        expect_same_elements(plain, drawn);
        EXPECT_TRUE(nhwc.guards_intact() && drawn.guards_intact()) << problem.text();
        ++compared;
    }
    EXPECT_GT(compared, 100);
}

TEST(Layouts, ReorderGoesToEachLayoutAndBack) {
    const Shape shape{2, 20, 3, 5};
    for (const Layout there : {Layout::nhwc, Layout::nchw16c})
        for (const Layout start : {Layout::plain, Layout::nhwc}) {
            LayerProblem away = parse_problem("reorder n2 c20 h3 w5", "test").front(), back = away;
            away.in[0].layout = back.out[0].layout = start;
            away.out[0].layout = back.in[0].layout = there;
            ProblemData first(away, DataKind::random, 2), second(back, DataKind::random, 3);
            run_kernel(reference(OpKind::reorder), first.args(), 1);
            second.args().in[0].data = first.args().out[0].data;
            run_kernel(reference(OpKind::reorder), second.args(), 1);
            const auto* const from = static_cast<const float*>(first.args().in[0].data);
            const auto* const moved = static_cast<const float*>(first.args().out[0].data);
            const auto* const returned = static_cast<const float*>(second.args().out[0].data);
            for (int64_t i = 0; i < shape.elements(); ++i)
                EXPECT_EQ(from[stored_index(shape, start, i)], moved[stored_index(shape, there, i)]);
            EXPECT_TRUE(std::equal(from, from + stored_elements(shape, start), returned));
        }
}

TEST(Layouts, NoRowOfTheCpuTakesNhwcForPlain) {
    int refusals = 0;
    for (const LayerProblem& problem : all_problems())
        for (const Kernel& row : kernel_table()) {
            if (row.op != problem.op || !row.run || is_reference(row) || !supports(row, problem.problem())) continue;
            LayerProblem changed = problem;
            for (KernelTensor* image : images_of(changed)) {
                const Layout before = std::exchange(image->layout, Layout::nhwc);
                const Support support = supports(row, changed.problem());
                ASSERT_FALSE(support) << row_name(row) << "\n  " << changed.text();
                EXPECT_STREQ(support.why_not, "layout nhwc") << row_name(row);
                image->layout = before;
                ++refusals;
            }
        }
    EXPECT_GT(refusals, 1000);
}

}  // namespace
}  // namespace xbench
