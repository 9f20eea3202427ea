// Plans against the oracle, on every instruction set: naive == planned, fused == unfused, any number of threads.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/hardware.h"
#include "kernels/products.h"
#include "tests/plan/harness.h"
#include "tests/plan/small_plans.h"

namespace xbench::test {
namespace {

void expect_equal_training(const Graph& graph, const PlanOptions& options, Isa isa, int64_t batch, double tolerance) {
    Bench<double> oracle(graph, naive(), Isa::portable, batch, std::min<int>(8, static_cast<int>(batch)));
    Bench<float> tested(graph, options, isa, batch, std::min<int>(8, static_cast<int>(batch)));
    const double expected = oracle.run();
    EXPECT_NEAR(tested.run(), expected, tolerance * std::abs(expected));
    for (const FlatRange& range : oracle.plan.parameters.parameters) {
        const std::string& name = graph.value(range.value).name;
        const auto want = oracle.gradient(name);
        double magnitude = 0;
        for (const double g : want) magnitude = std::max(magnitude, std::abs(g));
        if (magnitude < 1e-12) continue;  // a bias in front of batch normalisation
        EXPECT_LT(relative_difference(tested.gradient(name), want), tolerance) << name;
    }
    EXPECT_LT(relative_difference(tested.state, oracle.state), tolerance);
}

class EveryIsa : public testing::TestWithParam<Isa> {
protected:
    void SetUp() override {
        if (GetParam() > best_isa()) GTEST_SKIP() << "this processor has no " << isa_name(GetParam());
    }
};

TEST_P(EveryIsa, PlannedEqualsNaive) {
    expect_equal_training(every_operator(LossKind::softmax_cross_entropy, 0.25f), {}, GetParam(), 9, 2e-5);
    expect_equal_training(every_operator(LossKind::bce_with_logits), {}, GetParam(), 9, 2e-5);
    expect_equal_training(separable(32), {}, GetParam(), 9, 1e-4);
    expect_equal_training(separable(8), {}, GetParam(), 9, 1e-4);
}

TEST_P(EveryIsa, PlannedEqualsNaiveForTheSmallModels) {
    for (const char* name : {"pneumonia_cnn", "fracture_cnn", "rsna_cnn", "cifar_cnn", "nih_cnn"}) {
        SCOPED_TRACE(name);
        ModelConfig config;
        config.name = name;
        config.size = 32;
        expect_equal_training(build_model(config), {}, GetParam(), 3, 1e-4);
    }
}

// bf16: a loss as far from fp32's as 8 bits of mantissa allow, gradients that point the same way.
TEST_P(EveryIsa, ProductsInBf16AreRoundedOnes) {
    ModelConfig config;
    config.name = "cifar_cnn";
    const Graph graph = build_model(config);
    PlanOptions options;
    options.products = DType::bf16;
    Bench<float> exact(graph, {}, GetParam(), 4, 4), rounded(graph, options, GetParam(), 4, 4);
    const double loss = exact.run(), loss_bf16 = rounded.run();
    EXPECT_NE(loss_bf16, loss);
    EXPECT_NEAR(loss_bf16, loss, 0.03 * std::abs(loss));
    int in_bf16 = 0;
    for (const PlannedStep& step : rounded.plan.steps) in_bf16 += products_of(step.problem) == DType::bf16;
    EXPECT_GT(in_bf16, 10);
    const Node& first = rounded.plan.graph.node(rounded.plan.steps.front().node);
    EXPECT_EQ(std::get<Conv2d>(first.attrs).products, DType::f32) << "a first layer of 3 channels";
    EXPECT_NE(explain(rounded.plan).find("computes in f32"), std::string::npos);
}

TEST_P(EveryIsa, OddSizesLeaveARimOutsideThePoolingWindows) {
    for (const char* name : {"pneumonia_cnn", "cifar_cnn"}) {
        SCOPED_TRACE(name);
        ModelConfig config;
        config.name = name;
        config.size = 27;
        expect_equal_training(build_model(config), {}, GetParam(), 5, 1e-4);
    }
}

TEST_P(EveryIsa, FusedEqualsUnfusedBitForBit) {
    const Graph graph = every_operator(LossKind::softmax_cross_entropy, 0.25f);
    PlanOptions unfused;
    unfused.fuse = false;
    Bench<float> a(graph, {}, GetParam(), 9, 8), b(graph, unfused, GetParam(), 9, 8);
    EXPECT_EQ(a.run(), b.run());
    EXPECT_EQ(a.gradients, b.gradients);
    EXPECT_LT(a.plan.steps.size(), b.plan.steps.size());
}

// The fused sums are taken in another order, so bits may differ.
TEST_P(EveryIsa, FusedConvolutionsEqualUnfused) {
    for (const char* name : {"pneumonia_cnn", "fracture_cnn", "rsna_cnn", "cifar_cnn", "nih_cnn"}) {
        SCOPED_TRACE(name);
        const Graph graph = small_model(name, 36);
        PlanOptions fused, unfused;
        fused.forced = {{"conv2d", "direct_blocked"}};
        if (graph.name == "pneumonia_cnn") fused.forced.clear();  // its first layer is plain; the others are Winograd's
        unfused.forced = fused.forced;
        unfused.fuse = false;
        Bench<float> a(graph, fused, GetParam(), 5, 3), b(graph, unfused, GetParam(), 5, 3);
        EXPECT_NEAR(a.run(), b.run(), 1e-5);
        EXPECT_LT(relative_difference(a.gradients, b.gradients), 1e-4);
        EXPECT_LT(relative_difference(a.state, b.state), 1e-5);
        EXPECT_GT(count_steps(a.plan, OpKind::conv2d_statistics) + count_steps(a.plan, OpKind::conv2d_pool) +
                      count_steps(a.plan, OpKind::conv2d_batchnorm_pool_wgrad),
                  0);
    }
}

TEST_P(EveryIsa, SameBitsForAnyNumberOfThreads) {
    for (const Graph& graph : {every_operator(LossKind::softmax_cross_entropy, 0.25f), small_model("pneumonia_cnn", 36),
                               small_model("rsna_cnn", 36), small_model("cifar_cnn", 36)}) {
        SCOPED_TRACE(graph.name);
        Bench<float> one(graph, {}, GetParam(), 9, 8);
        const double loss = one.run();
        for (const int threads : {2, 3}) {
            PlanOptions options;
            options.threads = threads;
            Bench<float> many(graph, options, GetParam(), 9, 8);
            EXPECT_EQ(many.run(), loss);
            EXPECT_EQ(many.gradients, one.gradients) << threads << " threads";
            EXPECT_EQ(many.state, one.state);
        }
    }
}

// A dropout of elements behind a pooled batch normalisation, one of channels behind a pooled convolution, and one behind a
// linear layer, which stays.
TEST_P(EveryIsa, ADropoutBehindAPoolingBecomesAPartOfIt) {
    for (const char* name : {"cifar_cnn", "rsna_cnn"}) {
        SCOPED_TRACE(name);
        const Graph graph = small_model(name, 36);
        PlanOptions unfused;
        unfused.fuse = false;
        Bench<float> a(graph, {}, GetParam(), 5, 3), b(graph, unfused, GetParam(), 5, 3);
        const int64_t stays = graph.name == "cifar_cnn" ? 1 : 0;
        EXPECT_EQ(count_steps(a.plan, OpKind::dropout), stays);
        EXPECT_EQ(count_steps(a.plan, OpKind::dropout_grad), stays);
        EXPECT_EQ(count_steps(b.plan, OpKind::dropout_grad), graph.name == "cifar_cnn" ? 3 : 1);
        EXPECT_NE(explain(a.plan).find("+dropout"), std::string::npos);
        EXPECT_NEAR(a.run(), b.run(), 1e-5);
        EXPECT_LT(relative_difference(a.gradients, b.gradients), 1e-4);
    }
}

INSTANTIATE_TEST_SUITE_P(Isa, EveryIsa, testing::Values(Isa::portable, Isa::avx2, Isa::avx512, Isa::avx512_bf16),
                         [](const auto& instance) { return std::string(isa_name(instance.param)); });

}  // namespace
}  // namespace xbench::test
