// Published values of weighted, smoothed and focal losses, in every row that runs here; gradients are those of the losses by
// differences.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/run.h"
#include "problems.h"

namespace xbench {
namespace {

struct LossCase {
    std::vector<std::vector<float>> logits;
    std::vector<int32_t> labels{};              // softmax
    std::vector<std::vector<float>> targets{};  // several labels
    std::vector<float> pos_weight{}, class_weight{};
    Loss attributes{};
    bool softmax() const { return !labels.empty(); }
    int64_t images() const { return static_cast<int64_t>(logits.size()); }
    int64_t classes() const { return static_cast<int64_t>(logits.front().size()); }
};

std::vector<float> flat(const std::vector<std::vector<float>>& rows) {
    std::vector<float> all;
    for (const auto& row : rows) all.insert(all.end(), row.begin(), row.end());
    return all;
}

struct LossResult {
    double sum = 0;
    std::vector<float> gradient;
};

// The loss' sum and its gradient, of a mean over divisor.
LossResult compute(const LossCase& c, const Kernel& forward, const Kernel& backward, double divisor) {
    const int64_t n = c.images(), k = c.classes();
    std::vector<float> logits = flat(c.logits), targets = flat(c.targets), probabilities(logits.size()), d(logits.size());
    std::vector<int32_t> labels = c.labels;
    std::vector<float> pos = c.pos_weight, weight = c.class_weight;
    LossResult result;
    const int32_t leaf_begin[] = {0, static_cast<int32_t>(n)};
    StepContext step{};
    step.leaf_begin = leaf_begin, step.leaves = 1, step.global_batch = n, step.inverse_batch = 1 / divisor;
    const auto rows = [&](float* data) { return kernel_tensor({n, k}, DType::f32, Layout::plain, data); };
    const auto of_classes = [&](std::vector<float>& data) {
        return data.empty() ? KernelTensor{} : kernel_tensor({k}, DType::f32, Layout::plain, data.data());
    };
    KernelArgs args{};
    args.op = forward.op, args.attrs = &c.attributes, args.leaves = 1, args.step = &step;
    args.in[0] = rows(logits.data());
    if (c.softmax()) {
        args.in[1] = kernel_tensor({n}, DType::i32, Layout::plain, labels.data());
        args.in[2] = of_classes(weight);
        args.n_in = weight.empty() ? 2 : 3;
    } else {
        args.in[1] = rows(targets.data());
        args.in[2] = of_classes(pos);
        args.in[3] = of_classes(weight);
        args.n_in = weight.empty() ? pos.empty() ? 2 : 3 : 4;
    }
    args.out[0] = kernel_tensor({1}, DType::f64, Layout::plain, &result.sum);
    args.out[1] = rows(probabilities.data());
    args.n_out = 2;
    run_kernel(forward, args, 1);
    args.op = backward.op;
    args.in[0] = args.out[1];
    args.out[0] = rows(d.data());
    args.n_out = 1;
    run_kernel(backward, args, 1);
    result.gradient = d;
    return result;
}

std::vector<std::pair<const Kernel*, const Kernel*>> rows_of(const LossCase& c) {
    const OpKind forward = c.softmax() ? OpKind::softmax_cross_entropy : OpKind::bce_with_logits;
    const OpKind backward = c.softmax() ? OpKind::softmax_cross_entropy_grad : OpKind::bce_with_logits_grad;
    std::vector<std::pair<const Kernel*, const Kernel*>> rows;
    for (const Kernel& one : kernel_table())
        for (const Kernel& other : kernel_table())
            if (one.op == forward && other.op == backward && kind_of(one) == DeviceKind::cpu && one.isa == other.isa &&
                std::string(one.name) == other.name && runs_on(one, Target{usable_isa()}))
                rows.emplace_back(&one, &other);
    return rows;
}

void expect_sum(const LossCase& c, double expected, double tolerance = 1e-6) {
    const auto rows = rows_of(c);
    ASSERT_GE(rows.size(), 2u);
    for (const auto& [forward, backward] : rows) {
        const LossResult result = compute(c, *forward, *backward, 1);
        EXPECT_NEAR(result.sum, expected, tolerance * std::max(1.0, std::abs(expected))) << row_name(*forward);
        for (int64_t i = 0; i < c.images() * c.classes(); ++i) {
            const auto image = static_cast<size_t>(i / c.classes()), k = static_cast<size_t>(i % c.classes());
            if (std::abs(c.logits[image][k]) > 8) continue;  // what f32 probabilities leave is no slope
            constexpr float h = 1.0f / 128;
            LossCase up = c, down = c;
            up.logits[image][k] += h;
            down.logits[image][k] -= h;
            const double slope = (compute(up, *forward, *backward, 1).sum - compute(down, *forward, *backward, 1).sum) /
                                 (2 * static_cast<double>(h));
            EXPECT_NEAR(result.gradient[static_cast<size_t>(i)], slope, 2e-4 * std::max(1.0, std::abs(slope)))
                << row_name(*forward) << ", logit " << i;
        }
    }
}

TEST(LossValues, ClassWeights) {
    const LossCase one{.logits = {{0.2f, 0.3f, 0.5f}}, .labels = {2}, .class_weight = {2, 4, 6}};
    const LossCase other{.logits = {{0.5f, 0.2f, 0.3f}}, .labels = {1}, .class_weight = {2, 4, 6}};
    expect_sum(one, 5.638986);
    expect_sum(other, 4.959324);
    expect_sum({.logits = {{0.2f, 0.3f, 0.5f}, {0.5f, 0.2f, 0.3f}}, .labels = {2, 1}, .class_weight = {2, 4, 6}}, 10.598311);
    expect_sum({.logits = {{-100, 100}, {-100, 100}}, .labels = {0, 1}, .class_weight = {20, 10}}, 30 * 133.3333333);
    expect_sum({.logits = {{1, 0}, {0, 1}, {2, -1}, {0.5f, 0.5f}}, .labels = {0, 0, 0, 1}, .class_weight = {1, 3}},
               6 * 0.625759, 2e-6);
}

// The mean over the sum of the batch's weights: dL/dlogit of the fourth image is .25, not .1875 as of the mean of two ranks'
// means.
TEST(LossValues, TheMeanIsThatOfTheWholeBatch) {
    const LossCase c{.logits = {{1, 0}, {0, 1}, {2, -1}, {0.5f, 0.5f}}, .labels = {0, 0, 0, 1}, .class_weight = {1, 3}};
    for (const auto& [forward, backward] : rows_of(c)) {
        const LossResult result = compute(c, *forward, *backward, 6);
        EXPECT_NEAR(result.gradient[6], 0.25, 1e-7);
        EXPECT_NEAR(result.gradient[7], -0.25, 1e-7);
    }
}

TEST(LossValues, LabelSmoothing) {
    expect_sum({.logits = {{2, 1, 0, -1, 0.5f}}, .labels = {0}, .attributes = {.smoothing = 0.1f}}, 0.7244379);
    expect_sum({.logits = {{2, 1, 0, -1, 0.5f}}, .labels = {0}}, 0.5744379);
    expect_sum({.logits = {{0.2f, 0.3f, 0.5f}, {0.5f, 0.2f, 0.3f}},
                .labels = {2, 1},
                .class_weight = {2, 4, 6},
                .attributes = {.smoothing = 0.1f}},
               10.4170111);
}

TEST(LossValues, FocalOfOneLabel) {
    expect_sum({.logits = {{2, 1, 0}}, .labels = {0}, .attributes = {.focal = 1}}, 0.0456777990);
    expect_sum({.logits = {{0, 0, 0}}, .labels = {2}, .attributes = {.focal = 1}}, 0.4882721283);
    expect_sum({.logits = {{0, 0, 0}}, .labels = {2}, .class_weight = {1, 1, 2}, .attributes = {.focal = 1}},
               2 * 0.4882721283);
    expect_sum({.logits = {{1, 0}}, .labels = {0}, .attributes = {.focal = 1, .gamma = 0}}, 0.3132616875);
}

TEST(LossValues, PositiveWeights) {
    expect_sum({.logits = {{1.5f}}, .targets = {{1}}, .pos_weight = {3}}, 0.604240, 2e-6);
    expect_sum({.logits = {{-0.5f}}, .targets = {{0}}, .pos_weight = {3}}, 0.474077, 2e-6);
}

TEST(LossValues, FocalOfSeveralLabels) {
    const std::vector<double> of_one{0.4125195449, 0.0433216988, 0.0056645144, 2.732083e-5, 0};
    const std::vector<double> of_zero{0.0013526721, 0.1299650964, 0.5264012276, 2.0747103306, 30};
    const std::vector<float> logits{-2, 0, 1, 3, 40};
    for (size_t i = 0; i < logits.size(); ++i) {
        SCOPED_TRACE(logits[i]);
        expect_sum({.logits = {{logits[i]}}, .targets = {{1}}, .attributes = {.focal = 1}}, of_one[i], 1e-9);
        expect_sum({.logits = {{logits[i]}}, .targets = {{0}}, .attributes = {.focal = 1}}, of_zero[i], 1e-9);
    }
    for (const float z : {-120.0f, 120.0f})
        for (const float t : {0.0f, 1.0f}) {
            const LossCase c{.logits = {{z}}, .targets = {{t}}, .attributes = {.focal = 1}};
            for (const auto& [forward, backward] : rows_of(c)) {
                const LossResult result = compute(c, *forward, *backward, 1);
                EXPECT_TRUE(std::isfinite(result.sum));
                EXPECT_TRUE(std::isfinite(result.gradient[0]));
            }
        }
}

TEST(LossValues, SmoothedAndWeightedLabels) {
    // t = 1 becomes .95: .05 * 1.5 + log(1 + exp(-1.5))
    expect_sum({.logits = {{1.5f}}, .targets = {{1}}, .attributes = {.smoothing = 0.1f}}, 0.075 + 0.2014132780);
    expect_sum({.logits = {{1.5f, -0.5f}}, .targets = {{1, 0}}, .pos_weight = {3, 1}, .class_weight = {2, 0.5f}},
               (2 * 0.6042398 + 0.5 * 0.4740770) / 2);
}

}  // namespace
}  // namespace xbench
