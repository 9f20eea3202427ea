// What must hold by mathematics or by contract, whatever the implementation: gradients are adjoints, leaves can be computed
// apart and added, normalised channels have mean 0 and variance 1, masks follow the element, the first of equal maxima wins.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "kernels/cases/compare.h"
#include "kernels/leaf_tree.h"
#include "kernels/run.h"
#include "problems.h"

namespace xbench {
namespace {

double dot(const KernelTensor& a, const KernelTensor& b) {
    double sum = 0;
    for (int64_t i = 0; i < elements_of(a); ++i) sum += element(a, i) * element(b, i);
    return sum;
}

// The sum of |a||b|, to which errors are proportional.
double magnitude_of_dot(const KernelTensor& a, const KernelTensor& b) {
    double sum = 0;
    for (int64_t i = 0; i < elements_of(a); ++i) sum += std::fabs(element(a, i) * element(b, i));
    return sum;
}

void copy(const KernelTensor& from, const KernelTensor& to) {
    for (int64_t i = 0; i < elements_of(from); ++i) set_element(to, i, element(from, i));
}

LayerProblem find(OpKind op, const std::vector<LayerProblem>& problems, Layout layout) {
    for (const LayerProblem& p : problems)
        if (p.op == op && p.in[0].layout == layout) return p;
    ADD_FAILURE() << "no " << name_of(op);
    return problems.front();
}

// The best row that can run here.
const Kernel& best(const LayerProblem& problem) { return select(problem.problem(), Target{best_isa()}); }

struct Adjoint {
    OpKind forward, backward;
    int forward_operand;  // of the forward operator: what the gradient is taken for
    int x_of_backward;    // which input of the gradient holds forward operand 0 or 1; -1: none
    int dy_of_backward;
    int kept_forward;  // the other linear operand in forward and its place in backward; -1: none
    int kept_backward;
};

// <op(x), dy> = <x, op_grad(dy)>, and for the filters <op(w), dy> = <w, wgrad(dy)>, with the best rows.
void expect_adjoint(const Adjoint& a, const std::string& line, Layout layout) {
    const auto problems = parse_problem(line, "test");
    ProblemData forward(find(a.forward, problems, layout), DataKind::random, 5);
    ProblemData backward(find(a.backward, problems, layout), DataKind::random, 6);
    if (a.kept_forward >= 0) copy(forward.args().in[a.kept_forward], backward.args().in[a.kept_backward]);
    run_kernel(best(forward.problem()), forward.args(), 2);
    if (a.forward == OpKind::max_pool2d)  // the gradient takes the positions that the forward pass found
        for (int64_t i = 0; i < elements_of(forward.args().out[1]); ++i)
            set_element(backward.args().in[1], i, element(forward.args().out[1], i));
    run_kernel(best(backward.problem()), backward.args(), 2);
    const KernelTensor &y = forward.args().out[0], &dy = backward.args().in[a.dy_of_backward];
    const KernelTensor &x = forward.args().in[a.forward_operand], &dx = backward.args().out[0];
    const double scale = magnitude_of_dot(y, dy) + magnitude_of_dot(x, dx);
    EXPECT_NEAR(dot(y, dy), dot(x, dx), 1e-6 * scale) << line << " " << name_of(layout);
    EXPECT_GT(std::fabs(dot(y, dy)), 1e-5 * scale) << line << ": an empty comparison";
}

TEST(Properties, GradientsAreAdjoint) {
    const Adjoint conv_input{OpKind::conv2d, OpKind::conv2d_dgrad, 0, -1, 0, 1, 1};
    const Adjoint conv_filter{OpKind::conv2d, OpKind::conv2d_wgrad, 1, 0, 1, 0, 0};
    const Adjoint max_pool{OpKind::max_pool2d, OpKind::max_pool2d_grad, 0, -1, 0, -1, -1};
    const Adjoint avg_pool{OpKind::avg_pool2d, OpKind::avg_pool2d_grad, 0, -1, 0, -1, -1};
    const Adjoint dropout{OpKind::dropout, OpKind::dropout_grad, 0, -1, 0, -1, -1};
    for (const Layout layout : {Layout::plain, Layout::nchw16c}) {
        for (const char* line :
             {"conv2d n3 c8 h12 w17 k16 r3 pad1 nobias leaves3", "conv2d n2 c17 h11 k19 r3 stride2 pad1 nobias",
              "conv2d n2 c19 h11 w14 k33 r3 pad2 nobias leaves2", "conv2d n2 c40 h13 w9 k8 r3 nobias leaves2",
              "conv2d n2 c5 h9 k7 r5 s3 dilation2 pad2 nobias leaves2", "conv2d n2 c8 h9 k12 r3 groups4 pad1 nobias"}) {
            expect_adjoint(conv_input, line, layout);
            expect_adjoint(conv_filter, line, layout);
        }
        for (const char* line :
             {"n3 c17 h12 w14 r2", "n2 c5 h11 w13 r3 stride2 pad1", "n2 c16 h9 w10 r3 s2 stride_h1 stride_w2"}) {
            expect_adjoint(max_pool, std::string("max_pool2d ") + line, layout);
            expect_adjoint(avg_pool, std::string("avg_pool2d ") + line, layout);
            expect_adjoint(avg_pool, std::string("avg_pool2d ") + line + " exclude_pad", layout);
        }
        expect_adjoint(dropout, "dropout n3 c17 h5 w7 p=0.4", layout);
        expect_adjoint(dropout, "dropout n3 c17 h4 w8 p=0.4", layout);
        expect_adjoint(dropout, "dropout n4 c17 h5 w7 p=0.4 per_channel", layout);
    }
    expect_adjoint({OpKind::linear, OpKind::linear_dgrad, 0, -1, 0, 1, 1}, "linear n5 f37 k19 nobias", Layout::plain);
    expect_adjoint({OpKind::linear, OpKind::linear_wgrad, 1, 0, 1, 0, 0}, "linear n5 f37 k19 nobias leaves4", Layout::plain);
}

bool sums_over_batch(OpKind op) {
    return op == OpKind::conv2d_wgrad || op == OpKind::linear_wgrad || op == OpKind::batchnorm_statistics ||
           op == OpKind::batchnorm_grad_statistics || op == OpKind::batchnorm_pool_grad_statistics ||
           op == OpKind::conv2d_statistics || op == OpKind::conv2d_pool_wgrad || op == OpKind::conv2d_batchnorm_pool_wgrad ||
           op == OpKind::softmax_cross_entropy || op == OpKind::bce_with_logits;
}

// The same call on images first .. last-1 of the data only, which are leaves from .. to-1: what one of two ranks would do.
ProblemData part_of(const ProblemData& whole, size_t from, size_t to) {
    const std::vector<int32_t>& leaf_begin = whole.problem().leaf_begin;
    const int64_t batch = whole.problem().images(), first = leaf_begin[from], images = leaf_begin[to] - first;
    LayerProblem problem = whole.problem();
    problem.leaf_begin.clear();
    for (size_t v = from; v <= to; ++v) problem.leaf_begin.push_back(leaf_begin[v] - leaf_begin[from]);
    // One row an image: images, rows of features or labels; not a statistic or weight that happens to have as many rows.
    const bool labels = problem.op == OpKind::softmax_cross_entropy;
    std::vector<bool> sliced;
    for (size_t i = 0; i < problem.in.size(); ++i) {
        KernelTensor& t = problem.in[i];
        const bool statistic = problem.op == OpKind::batchnorm_grad_statistics && i == 2;
        const bool filters = problem.op == OpKind::conv2d_statistics && i == 1;
        sliced.push_back(t.dim[0] == batch && !statistic && !filters && (t.rank > 1 || labels));
        if (sliced.back()) t.dim[0] = images;
    }
    if (labels || problem.op == OpKind::bce_with_logits) problem.out[1].dim[0] = images;
    if (problem.op == OpKind::conv2d_statistics) problem.out[0].dim[0] = images;
    ProblemData part(problem, DataKind::random, 1);
    for (size_t i = 0; i < problem.in.size(); ++i) {
        const KernelTensor &from_tensor = whole.args().in[i], &to_tensor = part.args().in[i];
        const int64_t skip = sliced[i] ? first * (elements_of(from_tensor) / batch) : 0;
        for (int64_t k = 0; k < elements_of(to_tensor); ++k) set_element(to_tensor, k, element(from_tensor, k + skip));
    }
    part.step().global_batch = whole.args().step->global_batch;
    return part;
}

// Images of very different magnitude, so that sums in double are rounded too and their order shows.
void spread_magnitudes(const ProblemData& data) {
    const KernelTensor& x = data.args().in[0];
    if (data.problem().op == OpKind::softmax_cross_entropy || data.problem().op == OpKind::bce_with_logits) return;
    const int64_t row = elements_of(x) / x.dim[0];
    for (int64_t i = 0; i < elements_of(x); ++i)
        set_element(x, i, element(x, i) * std::pow(50.0, static_cast<double>(i / row * 5 % 8) - 4));
}

// 2 ranks with 4 leaves each send one sum; added, it must be the sum of one rank with all 8 leaves, bit by bit.
TEST(Properties, LeavesCanBeSplitOverRanks) {
    std::map<OpKind, int> cases;
    for (const LayerProblem& problem : all_problems()) {
        if (!sums_over_batch(problem.op) || problem.leaf_begin.size() != 9 || problem.leaf_begin[4] == 0) continue;
        for (const Kernel* kernel : rows_for(problem)) {
            if (is_reference(*kernel) && problem.op == OpKind::conv2d_wgrad) continue;  // slow
            ProblemData whole(problem, DataKind::random, 7);
            spread_magnitudes(whole);
            ProblemData left = part_of(whole, 0, 4), right = part_of(whole, 4, 8);
            run_kernel(*kernel, whole.args(), 2);
            run_kernel(*kernel, left.args(), 1);
            run_kernel(*kernel, right.args(), 2);
            for (int i = 0; i < whole.args().n_out; ++i) {
                const KernelTensor &all = whole.args().out[i], &a = left.args().out[i], &b = right.args().out[i];
                if (all.dim[0] != a.dim[0]) continue;  // probabilities: one row an image
                int64_t different = 0;
                for (int64_t k = 0; k < elements_of(all); ++k) {
                    const bool f32 = all.dtype == DType::f32;
                    const double sum =
                        f32 ? static_cast<double>(static_cast<float>(element(a, k)) + static_cast<float>(element(b, k)))
                            : element(a, k) + element(b, k);
                    different += sum != element(all, k);
                }
                EXPECT_EQ(different, 0) << row_name(*kernel) << " output " << i << "\n  " << problem.text();
            }
            ++cases[problem.op];
        }
    }
    EXPECT_EQ(cases.size(), 10u) << "every operator that sums over the batch needs a problem of 8 leaves";
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

}  // namespace
}  // namespace xbench
