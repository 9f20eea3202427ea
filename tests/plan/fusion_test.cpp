// What the planner makes of a graph: which steps become one, in which layouts values lie, where in memory, and what
// `--explain` says of it.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "tests/plan/harness.h"
#include "tests/plan/small_plans.h"

namespace xbench::test {
namespace {

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
