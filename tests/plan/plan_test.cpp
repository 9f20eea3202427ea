// Plans against the oracle: finite differences, naive == planned, fused == unfused, memory, threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/hardware.h"
#include "kernels/products.h"
#include "models/registry.h"
#include "models/training_graph.h"
#include "tests/plan/harness.h"

namespace xbench::test {
namespace {

PlanOptions naive() {
    PlanOptions options;
    options.naive = true;
    return options;
}

// A central difference in f64 against the gradient of the naive plan, a few elements of every parameter.
void check_finite_differences(const Graph& graph) {
    Bench<double> bench(graph, naive(), Isa::portable, 4, 3);
    const auto start_state = bench.state;
    bench.run();
    const auto gradients = bench.gradients;
    const auto loss_at = [&](size_t element, double value) {
        const double kept = std::exchange(bench.parameters[element], value);
        bench.state = start_state;
        const double loss = bench.run();
        bench.parameters[element] = kept;
        return loss;
    };
    for (const FlatRange& range : bench.plan.parameters.parameters) {
        const std::string& name = graph.value(range.value).name;
        double checked = 0;
        for (int64_t i = 0; i < range.count; i += std::max<int64_t>(1, range.count / 7)) {
            const auto element = static_cast<size_t>(range.begin + i);
            const double h = 1e-6, p = bench.parameters[element];
            const double difference = (loss_at(element, p + h) - loss_at(element, p - h)) / (2 * h);
            EXPECT_NEAR(gradients[element], difference, 1e-6 * std::max(1.0, std::abs(difference)))
                << name << "[" << i << "]";
            checked += std::abs(difference);
        }
        const bool before_batchnorm = name == "f.0.bias";  // its gradient is zero by mathematics
        if (!before_batchnorm) {
            EXPECT_GT(checked, 1e-6) << name << " has no gradient: the test shows nothing";
        }
    }
}

TEST(FiniteDifferences, SoftmaxCrossEntropy) { check_finite_differences(every_operator()); }
TEST(FiniteDifferences, BinaryCrossEntropy) { check_finite_differences(every_operator(LossKind::bce_with_logits)); }
TEST(FiniteDifferences, WeightedSmoothedAndFocalLosses) {
    for (const LossKind kind : {LossKind::softmax_cross_entropy, LossKind::bce_with_logits})
        for (const LossOptions& options : {LossOptions{{.smoothing = 0.2f}, true}, LossOptions{{.focal = 1}, true},
                                           LossOptions{{.focal = 1, .gamma = 1.5f, .alpha = 0.6f}, false}}) {
            Graph graph = every_operator(kind);
            set_loss(graph, options);
            check_finite_differences(graph);
        }
}

// Through a frozen normalisation, and a layer of which only the weight or the bias is frozen.
TEST(FiniteDifferences, FrozenParameters) {
    for (const std::vector<std::string>& frozen : {std::vector<std::string>{"f.1.*"},
                                                   {"f.6.*"},
                                                   {"f.1.*", "f.6.*", "f.14.weight"},
                                                   {"f.0.*", "f.1.weight"},
                                                   {"f.18.bias"}}) {
        Graph graph = every_operator();
        freeze(graph, frozen);
        check_finite_differences(graph);
    }
}

TEST(FiniteDifferences, Dropout) { check_finite_differences(every_operator(LossKind::softmax_cross_entropy, 0.3f)); }

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

// A layer of MobileNet (Howard et al. 2017): a filter for each group of channels, then 1x1 filters over all of them.
Graph separable(int groups) {
    GraphBuilder g("separable");
    g.begin_unit("all");
    ValueId x = g.input(3, 23, 19);
    x = g.relu(g.batchnorm(g.conv2d(x, "f.0", 32, {.kernel = 3, .stride = 2, .pad = 1}), "f.1"), "f.2");
    x = g.conv2d(x, "f.3", 32, {.kernel = 3, .pad = 1, .groups = groups, .bias = false});
    x = g.relu(g.batchnorm(x, "f.4"), "f.5");
    x = g.relu(g.conv2d(x, "f.6", 48, {.kernel = 1}), "f.7");
    x = g.relu(g.conv2d(x, "f.8", 48, {.kernel = 5, .stride = 2, .pad = 2, .groups = 48}), "f.9");
    return g.finish(g.linear(g.global_avg_pool(x, "f.10"), "f.11", 3), LossKind::softmax_cross_entropy);
}

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

Graph small_model(const char* name, int size) {
    ModelConfig config;
    config.name = name;
    config.size = size;
    return build_model(config);
}

int64_t count_steps(const Plan& plan, OpKind op) {
    return std::count_if(plan.steps.begin(), plan.steps.end(), [&](const PlannedStep& s) { return s.problem.op == op; });
}

int64_t count_kernels(const Plan& plan, OpKind op, const std::string& name) {
    return std::count_if(plan.steps.begin(), plan.steps.end(),
                         [&](const PlannedStep& s) { return s.problem.op == op && s.kernel && name == s.kernel->name; });
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

TEST(Fusion, BatchNormalisationAndPoolingBecomeOne) {
    ModelConfig config;
    config.name = "pneumonia_cnn";
    for (const bool training : {true, false}) {
        PlanOptions options;
        options.training = training;
        const Plan plan = compile(build_model(config), Target{Isa::portable}, options);
        EXPECT_EQ(count_steps(plan, OpKind::batchnorm_pool_apply), 3);
        EXPECT_EQ(count_steps(plan, OpKind::batchnorm_pool_grad_input), training ? 2 : 0);
        EXPECT_EQ(count_steps(plan, OpKind::conv2d_batchnorm_pool_wgrad), training ? 1 : 0);  // the first layer
        EXPECT_EQ(count_steps(plan, OpKind::max_pool2d), 0);
        EXPECT_EQ(count_steps(plan, OpKind::max_pool2d_grad), 0);
        EXPECT_EQ(count_steps(plan, OpKind::relu_grad), 0);
    }
}

TEST(Fusion, AConvolutionTakesThePassBehindItWhereItsKernelCan) {
    for (const bool training : {true, false}) {
        PlanOptions options;
        options.training = training;
        options.forced = {{"conv2d", "direct_blocked"}};
        const Plan rsna = compile(small_model("rsna_cnn", 32), Target{Isa::portable}, options);
        EXPECT_EQ(count_steps(rsna, OpKind::conv2d_pool), 2);
        EXPECT_EQ(count_steps(rsna, OpKind::max_pool2d), 0);
        EXPECT_EQ(count_steps(rsna, OpKind::conv2d_pool_wgrad), training ? 1 : 0);
        const Plan cifar = compile(small_model("cifar_cnn", 32), Target{Isa::portable}, options);
        EXPECT_EQ(count_steps(cifar, OpKind::conv2d_statistics), training ? 4 : 0);
        EXPECT_EQ(count_steps(cifar, OpKind::batchnorm_statistics), 0);
        options.forced.clear();  // Winograd takes all but the first layer
        const Plan winograd = compile(small_model("cifar_cnn", 32), Target{Isa::portable}, options);
        EXPECT_EQ(count_steps(winograd, OpKind::conv2d_statistics), training ? 1 : 0);
        EXPECT_EQ(count_steps(winograd, OpKind::batchnorm_statistics), training ? 3 : 0);  // small images stay in cache
        const Plan large = compile(small_model("nih_cnn", 224), Target{Isa::portable}, options);
        EXPECT_EQ(count_kernels(large, OpKind::conv2d_statistics, "winograd43"), training ? 1 : 0);
        EXPECT_EQ(count_steps(large, OpKind::batchnorm_statistics), 0);
        const Plan pooled = compile(small_model("rsna_cnn", 32), Target{Isa::portable}, options);
        EXPECT_EQ(count_kernels(pooled, OpKind::conv2d_pool, "winograd43"), 1);
        EXPECT_EQ(count_kernels(pooled, OpKind::conv2d_pool, "direct_blocked"), 1);
        options.forced = {{"conv2d", "reference"}};  // no optimised row: nothing to fuse with
        EXPECT_EQ(count_steps(compile(small_model("rsna_cnn", 32), Target{Isa::portable}, options), OpKind::conv2d_pool), 0);
    }
}

// Winograd's tiles lie on two rows and drop whole channels only: the direct kernel could do it, but is slower.
TEST(Fusion, ADropoutNeverChangesTheAlgorithmOfAConvolution) {
    for (const bool per_channel : {false, true}) {
        GraphBuilder g("dropout_behind_winograd");
        g.begin_unit("all");
        ValueId x = g.conv2d(g.input(3, 32, 32), "f.0", 16, {.kernel = 3, .pad = 1});
        x = g.max_pool2d(g.relu(g.conv2d(x, "f.1", 32, {.kernel = 3, .pad = 1}), "f.2"), "f.3");
        x = g.flatten(g.dropout(x, "f.4", 0.3f, per_channel), "f.5");
        const Plan plan =
            compile(g.finish(g.linear(x, "f.6", 2), LossKind::softmax_cross_entropy), Target{Isa::portable}, {});
        EXPECT_EQ(count_kernels(plan, OpKind::conv2d_pool, "winograd43"), 1);
        EXPECT_EQ(count_steps(plan, OpKind::dropout), per_channel ? 0 : 1);
    }
}

TEST(Layouts, APooledBatchNormalisationTurnsFewChannelsIntoBlocks) {
    const Plan plan = compile(small_model("pneumonia_cnn", 32), Target{Isa::portable}, {});
    const auto layout = [&](OpKind op, const char* layer, bool out) {
        for (const PlannedStep& step : plan.steps)
            if (step.problem.op == op && plan.graph.node(step.node).name == layer)
                return (out ? step.problem.out[0].layout : step.problem.in[0].layout);
        throw Error("no such step");
    };
    EXPECT_EQ(layout(OpKind::batchnorm_pool_apply, "f.1", false), Layout::plain);  // 8 channels
    EXPECT_EQ(layout(OpKind::batchnorm_pool_apply, "f.1", true), Layout::nchw16c);
    EXPECT_EQ(layout(OpKind::conv2d_dgrad, "f.4", true), Layout::nchw16c);
    EXPECT_EQ(layout(OpKind::batchnorm_pool_apply, "f.5", false), Layout::nchw16c);
}

TEST(Layouts, GroupsAreBlockedWhereTheyHaveKernels) {
    for (const DType products : {DType::f32, DType::bf16})
        for (const int groups : {32, 8}) {  // groups of 4 channels fill no block
            PlanOptions options;
            options.products = products;
            int grouped = 0;
            const Plan plan = compile(separable(groups), Target{Isa::portable}, options);
            for (const PlannedStep& step : plan.steps) {
                if (step.problem.op != OpKind::conv2d && step.problem.op != OpKind::conv2d_wgrad) continue;
                if (static_cast<const Conv2d*>(step.problem.attrs)->groups == 1) continue;
                ++grouped;
                EXPECT_EQ(step.problem.in[0].layout, groups == 32 ? Layout::nchw16c : Layout::plain);
                EXPECT_STRNE(step.kernel->name, "reference");
            }
            EXPECT_EQ(grouped, 4);
        }
}

TEST(Placement, LiveValuesDoNotOverlap) {
    for (const ModelInfo& info : model_table()) {
        ModelConfig config;
        config.name = info.name;
        PlanOptions options;
        options.max_batch = 8;
        const Plan plan = compile(build_model(config), Target{Isa::portable}, options);
        int pairs = 0;
        for (size_t a = 0; a < plan.values.size(); ++a)
            for (size_t b = a + 1; b < plan.values.size(); ++b) {
                const PlannedValue &x = plan.values[a], &y = plan.values[b];
                if (x.arena != Arena::activations || y.arena != Arena::activations) continue;
                if (x.last_step < y.first_step || y.last_step < x.first_step) continue;
                const bool same_place = x.offset_bytes == y.offset_bytes && x.first_step == y.first_step;  // an alias
                const bool apart = x.offset_bytes + x.bytes <= y.offset_bytes || y.offset_bytes + y.bytes <= x.offset_bytes;
                EXPECT_TRUE(apart || same_place) << info.name << ": values " << a << " and " << b;
                ++pairs;
            }
        EXPECT_GT(pairs, 20);
        EXPECT_LT(plan.activation_bytes, plan.activation_bytes_unshared) << info.name;
        EXPECT_EQ(plan.activation_bytes % 64, 0u);
    }
}

TEST(Executor, AShorterLastBatchAndEmptyLeaves) {
    const Graph graph = every_operator();
    Bench<float> whole(graph, {}, Isa::portable, 9, 8), shorter(graph, {}, Isa::portable, 3, 8);
    for (int v = 0; v <= 8; ++v) whole.leaf_begin[static_cast<size_t>(v)] = v * 3 / 8;
    whole.context.global_batch = 3;
    whole.context.inverse_batch = 1.0 / 3;
    std::copy(shorter.images.begin(), shorter.images.end(), whole.images.begin());
    std::copy(shorter.labels.begin(), shorter.labels.end(), whole.labels.begin());
    EXPECT_EQ(whole.run(), shorter.run());
    EXPECT_EQ(whole.gradients, shorter.gradients);
}

TEST(Executor, AFailingObserverEndsTheStepOnAllThreads) {
    struct Failing : StepObserver {
        void all_reduce(double*, int64_t, int64_t) override { throw Error("the network is gone"); }
    } observer;
    PlanOptions options;
    options.threads = 3;
    Bench<float> bench(every_operator(), options, Isa::portable, 8, 8);
    for (int repeat = 0; repeat < 20; ++repeat) EXPECT_THROW(bench.run(&observer), Error);
    EXPECT_GT(bench.run(), 0);
}

TEST(Plan, ALayerThatDoesNotFitIsNamed) {
    ModelConfig config;
    config.name = "pneumonia_cnn";
    config.size = 4;
    try {
        build_model(config);
        FAIL();
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("f.11"), std::string::npos) << error.what();
    }
}

TEST(Plan, ExplainNamesEveryStep) {
    ModelConfig config;
    config.name = "cifar_cnn";
    PlanOptions options;
    options.max_batch = 16;
    const Plan plan = compile(build_model(config), Target{Isa::portable}, options);
    const std::string text = explain(plan);
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), static_cast<long>(plan.steps.size()) + 4);
    EXPECT_NE(text.find("conv2d_wgrad"), std::string::npos);
    // 32x32: 3->32, 32->32 and 16x16: 32->64, 64->64, linear 4096->128->10, forward and backward (no dgrad of the first).
    const double forward =
        2.0 * 9 * (1024.0 * (3 * 32 + 32 * 32) + 256.0 * (32 * 64 + 64 * 64)) + 2.0 * (4096 * 128 + 128 * 10);
    EXPECT_DOUBLE_EQ(flops_per_step(plan), 16 * (3 * forward - 2.0 * 9 * 1024 * 3 * 32));
}

}  // namespace
}  // namespace xbench::test
