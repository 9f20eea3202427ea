// What every operator promises by its row: a gradient is the adjoint of what it is the gradient of, and sums over images can
// be computed on two ranks and added.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "kernels/cases/compare.h"
#include "kernels/cases/op_cases.h"
#include "kernels/products.h"
#include "kernels/run.h"
#include "problems.h"

namespace xbench {
namespace {

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

}  // namespace
}  // namespace xbench
