// What must hold by mathematics or by contract, whatever the implementation: normalised channels have mean 0 and variance 1,
// masks follow the element, the first of equal maxima wins. adjoint_test.cpp has what holds for every operator.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "kernels/cases/compare.h"
#include "kernels/run.h"
#include "problems.h"

namespace xbench {
namespace {

LayerProblem find(OpKind op, const std::vector<LayerProblem>& problems, Layout layout) {
    for (const LayerProblem& p : problems)
        if (p.op == op && p.in[0].layout == layout) return p;
    ADD_FAILURE() << "no " << name_of(op);
    return problems.front();
}

// statistics -> finalize -> apply: each channel of the result has mean 0 and variance 1 (before gamma and beta).
TEST(Properties, NormalisedChannelsHaveMeanZeroAndVarianceOne) {
    for (const Layout layout : {Layout::plain, Layout::nchw16c}) {
        const auto problems = parse_problem("batchnorm n6 c19 h9 w11 leaves4", "test");
        ProblemData statistics(find(OpKind::batchnorm_statistics, problems, layout), DataKind::random, 8);
        ProblemData finalize(find(OpKind::batchnorm_finalize, problems, Layout::plain), DataKind::random, 9);
        ProblemData apply(find(OpKind::batchnorm_apply, problems, layout), DataKind::random, 10);
        const KernelTensor& x = statistics.args().in[0];
        for (int64_t i = 0; i < elements_of(x); ++i)  // far from zero, so that cancellation would show
            set_element(x, i, 100 + static_cast<double>(i / 99 % 19) + 0.25 * element(x, i));
        copy(x, apply.args().in[0]);
        for (int64_t c = 0; c < 19; ++c) {
            set_element(statistics.args().in[1], c, 90);  // a poor guess of the mean
            set_element(finalize.args().in[1], c, 90);
            set_element(apply.args().in[2], c, 1);
            set_element(apply.args().in[3], c, 0);
        }
        run_kernel(best(statistics.problem()), statistics.args(), 2);
        copy(statistics.args().out[0], finalize.args().in[0]);
        run_kernel(best(finalize.problem()), finalize.args(), 1);
        copy(finalize.args().out[0], apply.args().in[1]);
        run_kernel(best(apply.problem()), apply.args(), 2);
        const KernelTensor& y = apply.args().out[0];
        for (int64_t c = 0; c < 19; ++c) {
            double sum = 0, squares = 0;
            for (int64_t n = 0; n < 6; ++n)
                for (int64_t i = 0; i < 99; ++i) {
                    const double value = element(y, (n * 19 + c) * 99 + i);
                    sum += value, squares += value * value;
                }
            EXPECT_NEAR(sum / 594, 0, 2e-4) << "channel " << c;
            // eps is 1e-5 of a variance of 0.0208. The squares are summed around the guess: what is lost of them is as much
            // as rounding takes of the square of its distance, and the more sums a lane holds, the more often.
            const double lost = 1.2e-7 * (10.0 + static_cast<double>(c)) * (10.0 + static_cast<double>(c)) / 0.0208;
            EXPECT_NEAR(squares / 594, 1, 5e-4 + lost) << "channel " << c;
        }
    }
}

TEST(Properties, BatchNormOfAConstantChannelIsFinite) {
    const auto problems = parse_problem("batchnorm n4 c3 h5 w5 leaves4", "test");
    ProblemData statistics(find(OpKind::batchnorm_statistics, problems, Layout::plain), DataKind::random, 8);
    ProblemData finalize(find(OpKind::batchnorm_finalize, problems, Layout::plain), DataKind::random, 9);
    for (int64_t i = 0; i < 300; ++i) set_element(statistics.args().in[0], i, 7.3);
    for (int64_t c = 0; c < 3; ++c) {
        set_element(statistics.args().in[1], c, 0.1 * static_cast<double>(c));
        set_element(finalize.args().in[1], c, 0.1 * static_cast<double>(c));
    }
    run_kernel(best(statistics.problem()), statistics.args(), 1);
    copy(statistics.args().out[0], finalize.args().in[0]);
    run_kernel(best(finalize.problem()), finalize.args(), 1);
    for (int64_t c = 0; c < 3; ++c) {
        EXPECT_NEAR(element(finalize.args().out[0], c), 7.3, 1e-5);
        EXPECT_GT(element(finalize.args().out[0], 3 + c), 100) << "1 / sqrt(eps), as the variance is 0";
        EXPECT_LE(element(finalize.args().out[0], 3 + c), 320);
        EXPECT_TRUE(std::isfinite(element(finalize.args().out[2], c)));
    }
}

TEST(Properties, DropoutKeepsItsShareAndItsMaskFollowsTheElement) {
    const auto problems = parse_problem("dropout n16 c33 h14 w15 p=0.3", "test");
    std::map<Layout, ProblemData> runs;
    for (const Layout layout : {Layout::plain, Layout::nchw16c}) {
        ProblemData data(find(OpKind::dropout, problems, layout), DataKind::random, 11);
        const KernelTensor& x = data.args().in[0];
        for (int64_t i = 0; i < elements_of(x); ++i) set_element(x, i, 1);
        run_kernel(best(data.problem()), data.args(), 2);
        runs.emplace(layout, data);
    }
    const KernelTensor& plain_mask = runs.at(Layout::plain).args().out[0];
    const KernelTensor& blocked_mask = runs.at(Layout::nchw16c).args().out[0];
    const int64_t count = elements_of(plain_mask);
    int64_t kept = 0, different = 0;
    for (int64_t i = 0; i < count; ++i) {
        kept += element(plain_mask, i) != 0;
        different += element(plain_mask, i) != element(blocked_mask, i);
    }
    EXPECT_EQ(different, 0) << "the mask depends on the layout";
    const double share = static_cast<double>(kept) / static_cast<double>(count),
                 sigma = std::sqrt(0.21 / static_cast<double>(count));
    EXPECT_NEAR(share, 0.7, 5 * sigma);
    const double all = dot(plain_mask, plain_mask);  // every kept element is 1 / (1 - p)
    EXPECT_NEAR(all, static_cast<double>(kept) / 0.49, 1e-5 * all);
}

TEST(Properties, DropoutMaskFollowsTheImageAndTheStep) {
    const auto problem = parse_problem("dropout n2 f4096 p=0.5", "test").front();
    ProblemData data(problem, DataKind::random, 12), swapped(data), later(data), seeded(data);
    const KernelTensor& x = data.args().in[0];
    for (int64_t i = 0; i < elements_of(x); ++i)
        for (const ProblemData* d : {&data, &swapped, &later, &seeded}) set_element(d->args().in[0], i, 1);
    const int64_t ids[2] = {data.args().step->sample_ids[1], data.args().step->sample_ids[0]};
    swapped.step().sample_ids = ids;
    later.step().step += 1;
    seeded.step().seed += 1;
    for (ProblemData* d : {&data, &swapped, &later, &seeded}) run_kernel(best(problem), d->args(), 1);
    int64_t other_image = 0, same_later = 0, same_seeded = 0, same_images = 0;
    for (int64_t i = 0; i < 4096; ++i) {
        const double first = element(data.args().out[0], i);
        other_image += first != element(swapped.args().out[0], 4096 + i);
        same_later += first == element(later.args().out[0], i);
        same_seeded += first == element(seeded.args().out[0], i);
        same_images += first == element(data.args().out[0], 4096 + i);
    }
    EXPECT_EQ(other_image, 0) << "an image's mask depends on its place in the batch";
    for (const int64_t same : {same_later, same_seeded, same_images}) EXPECT_NEAR(static_cast<double>(same), 2048, 5 * 32);
}

TEST(Properties, TheFirstOfEqualMaximaWins) {
    for (const char* line : {"max_pool2d n1 c17 h8 w10 r2", "max_pool2d n1 c17 h9 w9 r3 stride2 pad1"})
        for (const LayerProblem& problem : parse_problem(line, "test")) {
            if (problem.op != OpKind::max_pool2d) continue;
            for (const Kernel* kernel : rows_for(problem)) {
                ProblemData data(problem, DataKind::random, 13);
                const KernelTensor &x = data.args().in[0], &index = data.args().out[1];
                for (int64_t i = 0; i < elements_of(x); ++i) set_element(x, i, -1.5);
                run_kernel(*kernel, data.args(), 1);
                const auto& a = std::get<Pool2d>(problem.attrs);
                for (int64_t i = 0; i < elements_of(index); ++i) {
                    const int64_t q = i % index.dim[3], p = i / index.dim[3] % index.dim[2];
                    const int64_t top = p == 0 ? a.pad_h : 0, left = q == 0 ? a.pad_w : 0;  // skip the padding
                    EXPECT_EQ(element(index, i), static_cast<double>(top * a.s + left)) << row_name(*kernel) << " " << line;
                    EXPECT_EQ(element(data.args().out[0], i), -1.5) << row_name(*kernel) << " " << line;
                }
            }
        }
}

TEST(Properties, SoftmaxAndBceSurviveLargeLogits) {
    for (const char* line : {"softmax_cross_entropy n2 k3", "bce_with_logits n2 k3 nopos"}) {
        const LayerProblem problem = parse_problem(line, "test").front();
        for (const Kernel* kernel : rows_for(problem)) {
            ProblemData data(problem, DataKind::random, 14);
            const double logits[6] = {1e4, -1e4, 0, -2e4, 3e4, 90};
            for (int64_t i = 0; i < 6; ++i) set_element(data.args().in[0], i, logits[i]);
            run_kernel(*kernel, data.args(), 1);
            EXPECT_TRUE(std::isfinite(element(data.args().out[0], 0))) << row_name(*kernel);
            for (int64_t i = 0; i < 6; ++i) {
                EXPECT_GE(element(data.args().out[1], i), 0) << row_name(*kernel);
                EXPECT_LE(element(data.args().out[1], i), 1) << row_name(*kernel);
            }
        }
    }
}

// A target below 0 is unknown: its logit changes no loss, and gets no gradient.
TEST(Properties, BceLeavesUnknownTargetsOut) {
    for (const char* line : {"bce_with_logits n2 k3", "bce_with_logits n2 k3 nopos"}) {
        const auto problems = parse_problem(line, "test");
        for (const Kernel* kernel : rows_for(problems[0])) {
            ProblemData data(problems[0], DataKind::random, 15);
            set_element(data.args().in[1], 4, -1);
            run_kernel(*kernel, data.args(), 1);
            const double loss = element(data.args().out[0], 0);
            set_element(data.args().in[0], 4, 25);
            run_kernel(*kernel, data.args(), 1);
            EXPECT_EQ(element(data.args().out[0], 0), loss) << row_name(*kernel);
            set_element(data.args().in[0], 3, 25);
            run_kernel(*kernel, data.args(), 1);
            EXPECT_NE(element(data.args().out[0], 0), loss) << row_name(*kernel);
        }
        for (const Kernel* kernel : rows_for(problems[1])) {
            ProblemData data(problems[1], DataKind::random, 16);
            set_element(data.args().in[1], 4, -1);
            run_kernel(*kernel, data.args(), 1);
            EXPECT_EQ(element(data.args().out[0], 4), 0) << row_name(*kernel);
        }
    }
}

}  // namespace
}  // namespace xbench
