// What must hold by mathematics or by contract, whatever the implementation: gradients are adjoints, leaves can be computed
// apart and added, normalised channels have mean 0 and variance 1, masks follow the element, the first of equal maxima wins.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "kernels/cases/compare.h"
#include "kernels/cases/op_cases.h"
#include "kernels/leaf_tree.h"
#include "kernels/products.h"
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

int64_t index_of(const std::vector<Operand>& operands, const std::string& name) {
    for (size_t i = 0; i < operands.size(); ++i)
        if (operands[i].name == name) return static_cast<int64_t>(i);
    return -1;
}

// A tensor of a call by the name that the operator's row gives it; null: it has none.
const KernelTensor* named(const LayerProblem& problem, const ProblemData& data, const std::string& name) {
    const Operands& operands = operands_of(problem.op);
    const int64_t in = index_of(operands.in, name), out = index_of(operands.out, name);
    if (in >= 0 && in < data.args().n_in && data.args().in[in].rank > 0) return &data.args().in[in];
    return out >= 0 && out < data.args().n_out ? &data.args().out[out] : nullptr;
}

bool same_shape(const KernelTensor& a, const KernelTensor& b) {
    return a.rank == b.rank && a.layout == b.layout && std::equal(a.dim, a.dim + a.rank, b.dim);
}

// The call of the operator f that has this gradient's operands, without what makes it more than linear: no activation of its
// own (one whose closed places the gradient is given may stay), no bias. False where its line has none.
bool find_forward(const LayerProblem& gradient, OpKind f, LayerProblem& forward) {
    const Operands &of_gradient = operands_of(gradient.op), &of_forward = operands_of(f);
    for (LayerProblem& problem : parse_problem(gradient.line, "test")) {
        if (problem.op != f || folded_dropout(problem) != folded_dropout(gradient)) continue;
        bool fits = true;
        const auto require = [&](const std::string& name, const KernelTensor& t) {
            const bool is_gradient =
                name[0] == 'd' && index_of(of_forward.in, name) < 0 && index_of(of_forward.out, name) < 0;
            const std::string plain_name = is_gradient ? name.substr(1) : name;
            const int64_t in = index_of(of_forward.in, plain_name), out = index_of(of_forward.out, plain_name);
            if (out >= 0 && out >= static_cast<int64_t>(problem.out.size())) fits = false;
            if (fits && in >= 0) fits = same_shape(problem.in[static_cast<size_t>(in)], t);
            if (fits && out >= 0) fits = same_shape(problem.out[static_cast<size_t>(out)], t);
        };
        for (size_t i = 0; i < gradient.in.size(); ++i) require(of_gradient.in[i].name, gradient.in[i]);
        require(of_gradient.out[0].name, gradient.out[0]);
        if (!fits) continue;
        Node node{problem.op, problem.attrs, {}, {}, ""};
        if (Activation* const activation = activation_of(node)) *activation = Activation::none;
        problem.attrs = node.attrs;
        forward = problem;
        return true;
    }
    return false;
}

// <op(x), dy> = <x, op_grad(dy)>, and for the filters <op(w), dy> = <w, wgrad(dy)>, with the best rows. Other operands of
// the gradient are those of the pass forward, or what it made (positions, the output of a ReLU).
bool expect_adjoint(const LayerProblem& gradient) {
    LayerProblem problem;
    if (!find_forward(gradient, testing_of(gradient.op).adjoint_of, problem)) return false;
    ProblemData forward(problem, DataKind::random, 5), backward(gradient, DataKind::random, 6);
    for (int64_t i = 0; i < elements_of(forward.args().in[0]); ++i)  // open at a ReLU
        set_element(forward.args().in[0], i, std::fabs(element(forward.args().in[0], i)));
    if (const KernelTensor* bias = named(problem, forward, "b"))
        for (int64_t i = 0; i < elements_of(*bias); ++i) set_element(*bias, i, 0);
    run_kernel(best(problem), forward.args(), 2);
    for (size_t i = 0; i < gradient.in.size(); ++i)
        if (const KernelTensor* same = named(problem, forward, operands_of(gradient.op).in[i].name))
            copy(*same, backward.args().in[i]);
    run_kernel(best(gradient), backward.args(), 2);
    const KernelTensor &y = forward.args().out[0], &dy = *named(gradient, backward, "dy"), &dx = backward.args().out[0];
    const KernelTensor& x = *named(problem, forward, operands_of(gradient.op).out[0].name.substr(1));
    const double scale = magnitude_of_dot(y, dy) + magnitude_of_dot(x, dx);
    EXPECT_NEAR(dot(y, dy), dot(x, dx), 1e-6 * scale) << gradient.text();
    EXPECT_GT(scale, 0) << gradient.text() << ": an empty comparison";
    return true;
}

// The problems of all folders, and some shapes that are odd in every way.
TEST(Properties, GradientsAreAdjoint) {
    std::vector<LayerProblem> problems = all_problems();
    for (const char* line :
         {"conv2d n3 c8 h12 w17 k16 r3 pad1 nobias leaves3", "conv2d n2 c17 h11 k19 r3 stride2 pad1 nobias",
          "conv2d n2 c19 h11 w14 k33 r3 pad2 nobias leaves2", "conv2d n2 c40 h13 w9 k8 r3 nobias leaves2",
          "conv2d n2 c5 h9 k7 r5 s3 dilation2 pad2 nobias leaves2", "conv2d n2 c8 h9 k12 r3 groups4 pad1 nobias",
          "max_pool2d n3 c17 h12 w14 r2", "max_pool2d n2 c16 h9 w10 r3 s2 stride_h1 stride_w2",
          "avg_pool2d n2 c5 h11 w13 r3 stride2 pad1", "avg_pool2d n2 c5 h11 w13 r3 stride2 pad1 exclude_pad",
          "dropout n3 c17 h5 w7 p=0.4", "dropout n4 c17 h5 w7 p=0.4 per_channel", "linear n5 f37 k19 nobias leaves4"})
        for (const LayerProblem& problem : parse_problem(line, "test")) problems.push_back(problem);
    std::map<OpKind, int> cases;
    for (const LayerProblem& problem : problems) {
        const bool rounded = products_of(problem.problem()) != DType::f32;
        if (testing_of(problem.op).adjoint_of == no_operator || rounded) continue;
        if (op_def(problem.op).work(problem.problem()).flops < 3e7) cases[problem.op] += expect_adjoint(problem);
    }
    for (int op = 0; op < static_cast<int>(OpKind::count_); ++op) {
        const auto kind = static_cast<OpKind>(op);
        const bool is_adjoint = op_def(kind).reference && testing_of(kind).adjoint_of != no_operator;
        EXPECT_EQ(cases[kind] > 0, is_adjoint) << name_of(kind) << " was compared with nothing";
    }
}

// The same call on images first .. last-1 of the data only, which are leaves from .. to-1: what one of two ranks would do.
ProblemData part_of(const ProblemData& whole, size_t from, size_t to) {
    const std::vector<int32_t>& leaf_begin = whole.problem().leaf_begin;
    const int64_t batch = whole.problem().images(), first = leaf_begin[from], images = leaf_begin[to] - first;
    LayerProblem problem = whole.problem();
    problem.leaf_begin.clear();
    for (size_t v = from; v <= to; ++v) problem.leaf_begin.push_back(leaf_begin[v] - leaf_begin[from]);
    const Operands& operands = operands_of(problem.op);
    for (size_t i = 0; i < problem.in.size(); ++i)
        if (operands.in[i].per_image) problem.in[i].dim[0] = images;
    for (size_t i = 0; i < problem.out.size(); ++i)
        if (operands.out[i].per_image) problem.out[i].dim[0] = images;
    ProblemData part(problem, DataKind::random, 1);
    for (size_t i = 0; i < problem.in.size(); ++i) {
        const KernelTensor &from_tensor = whole.args().in[i], &to_tensor = part.args().in[i];
        const int64_t skip = operands.in[i].per_image ? first * (elements_of(from_tensor) / batch) : 0;
        for (int64_t k = 0; k < elements_of(to_tensor); ++k) set_element(to_tensor, k, element(from_tensor, k + skip));
    }
    part.step().global_batch = whole.args().step->global_batch;
    return part;
}

// Images of very different magnitude, so that sums in double are rounded too and their order shows.
void spread_magnitudes(const ProblemData& data) {
    const KernelTensor& x = data.args().in[0];
    const int64_t row = elements_of(x) / x.dim[0];
    for (int64_t i = 0; i < elements_of(x); ++i)
        set_element(x, i, element(x, i) * std::pow(50.0, static_cast<double>(i / row * 5 % 8) - 4));
}

// 2 ranks with 4 leaves each send one sum; added, it must be the sum of one rank with all 8 leaves, bit by bit.
TEST(Properties, LeavesCanBeSplitOverRanks) {
    std::map<OpKind, int> cases;
    for (const LayerProblem& problem : all_problems()) {
        if (!sums_over_images(problem.op) || problem.leaf_begin.size() != 9 || problem.leaf_begin[4] == 0) continue;
        for (const Kernel* kernel : rows_for(problem)) {
            if (is_reference(*kernel) && op_def(problem.op).multiplies) continue;  // slow
            ProblemData whole(problem, DataKind::random, 7);
            spread_magnitudes(whole);
            ProblemData left = part_of(whole, 0, 4), right = part_of(whole, 4, 8);
            run_kernel(*kernel, whole.args(), 2);
            run_kernel(*kernel, left.args(), 1);
            run_kernel(*kernel, right.args(), 2);
            for (int i = 0; i < whole.args().n_out; ++i) {
                const KernelTensor &all = whole.args().out[i], &a = left.args().out[i], &b = right.args().out[i];
                if (operands_of(problem.op).out[static_cast<size_t>(i)].per_image) continue;
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
    for (int op = 0; op < static_cast<int>(OpKind::count_); ++op) {
        const auto kind = static_cast<OpKind>(op);
        EXPECT_EQ(cases[kind] > 0, op_def(kind).reference && sums_over_images(kind))
            << name_of(kind) << " needs a problem of 8 leaves";
    }
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
