// A graph's outputs: pinned values and their gradients are what an unfused plan has, whatever passes would have done away
// with them, and several losses are added up. GELU and SiLU in a model, forward and backward.
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/hardware.h"
#include "harness.h"
#include "models/registry.h"

namespace xbench {
namespace {

using test::Bench;

PlanOptions naive() {
    PlanOptions options;
    options.naive = true;
    return options;
}

// An element by its logical place {n, c, h, w}, in any layout.
double logical(const TensorView& t, int64_t index) {
    const int64_t at = stored_index(t.shape, t.layout, index);
    return t.dtype == DType::f64 ? t.as<double>()[at] : static_cast<double>(t.as<float>()[at]);
}

void expect_close(const TensorView& planned, const TensorView& expected, const std::string& what) {
    ASSERT_EQ(planned.shape, expected.shape) << what;
    double largest = 0, difference = 0;
    for (int64_t i = 0; i < expected.shape.elements(); ++i) {
        largest = std::max(largest, std::fabs(logical(expected, i)));
        difference = std::max(difference, std::fabs(logical(planned, i) - logical(expected, i)));
    }
    EXPECT_LE(difference, 2e-5 * largest + 1e-7) << what;
}

// Pins one activation with its gradient and compares both with a naive plan in double precision.
void expect_pinned(Graph graph, ValueId id, bool checkpointing) {
    const std::string what = graph.name + ", value " + std::to_string(id) + " of " + graph.value(id).name;
    graph.pin(id, "pinned", true);
    PlanOptions options;
    options.activation_checkpointing = checkpointing;
    Bench<float> planned(graph, options, usable_isa(), 4, 2);
    Bench<double> expected(graph, naive(), Isa::portable, 4, 2);
    planned.run(), expected.run();
    for (const char* name : {"pinned", "d(pinned)"})
        expect_close(planned.executor.view(planned.plan.graph.output(name)),
                     expected.executor.view(expected.plan.graph.output(name)), what + ", " + name);
}

std::vector<ValueId> pinnable(const Graph& graph) {
    std::vector<ValueId> ids;
    for (const Node& node : graph.nodes)
        if (!graph.is_loss(node.out[0]) && graph.value(node.out[0]).dtype == DType::f32) ids.push_back(node.out[0]);
    return ids;
}

TEST(Outputs, EveryValueCanBePinnedWithItsGradient) {
    for (const char* name : {"pneumonia_cnn", "fracture_cnn", "cifar_cnn"}) {
        ModelConfig config;
        config.name = name;
        config.size = 32;
        config.widths = {8, 16};
        const Graph graph = build_model(config);
        for (const ValueId id : pinnable(graph)) expect_pinned(graph, id, id % 2 == 1);
    }
    const Graph graph = test::every_operator();
    for (const ValueId id : pinnable(graph)) expect_pinned(graph, id, id % 2 == 1);
}

TEST(Outputs, ADropoutThatInferenceLeavesOutMayBeAnOutput) {
    Graph graph = test::every_operator(LossKind::softmax_cross_entropy, 0.5f);
    for (const Node& node : graph.nodes)
        if (node.op == OpKind::dropout) graph.pin(node.out[0], node.name);
    PlanOptions options;
    options.training = false;
    Bench<float> bench(graph, options, usable_isa(), 4, 2);
    bench.run();
    EXPECT_TRUE(std::isfinite(logical(bench.executor.view(bench.plan.graph.output("f.9")), 0)));
}

// Two dropouts of one pooled value: neither can become a part of the pooling, whose own output the other still reads.
TEST(Outputs, ASecondDropoutOfAPooledValueKeepsIt) {
    for (const bool normalised : {false, true})
        for (const bool first_is_trained : {false, true}) {
            GraphBuilder g("two dropouts");
            ValueId x = g.conv2d(g.input(1, 16, 16), "f.0", 16, {.kernel = 3, .pad = 1});
            if (normalised) x = g.batchnorm(x, "f.1");
            x = g.max_pool2d(g.relu(x, "f.2"), "f.3", {.kernel = 2});
            const ValueId one = g.dropout(x, "f.4", 0.5f), two = g.dropout(x, "f.5", 0.25f);
            const ValueId logits = g.linear(g.flatten(first_is_trained ? one : two, "f.6"), "f.7", 3);
            Graph graph = g.finish(logits, LossKind::softmax_cross_entropy);
            graph.pin(first_is_trained ? two : one, "side");
            Bench<float> planned(graph, PlanOptions{}, usable_isa(), 4, 2);
            Bench<double> expected(graph, naive(), Isa::portable, 4, 2);
            const std::string what = normalised ? "normalised" : "plain";
            EXPECT_NEAR(planned.run(), expected.run(), 1e-4) << what;
            expect_close(planned.executor.view(planned.plan.graph.output("side")),
                         expected.executor.view(expected.plan.graph.output("side")), what);
        }
}

TEST(Outputs, HaveNamesOfTheirOwn) {
    Graph graph = test::every_operator();
    EXPECT_THROW(graph.pin(graph.output("logits"), "loss"), Error);
    EXPECT_THROW(graph.output("heat"), Error);
    graph.pin(graph.input, "image", true);  // nothing that is learned lies before it
    EXPECT_THROW(compile(graph, Target{}, PlanOptions{}), Error);
}

// A second loss over the same logits: the gradients are those of both.
TEST(Outputs, LossesAreAddedUp) {
    const Graph one = test::every_operator();
    Graph two = one;
    Node loss = two.nodes.back();
    for (ValueId& id : loss.out) id = two.add(Value(two.value(id)));
    two.nodes.push_back(loss);
    two.outputs.push_back({"second loss", loss.out[0], true});
    Bench<double> once(one, naive(), Isa::portable, 4, 2), twice(two, naive(), Isa::portable, 4, 2);
    EXPECT_EQ(once.run(), twice.run());
    EXPECT_EQ(*twice.executor.view(two.output("second loss")).as<double>(),
              *once.executor.view(one.output("loss")).as<double>());
    for (size_t i = 0; i < once.gradients.size(); ++i) EXPECT_NEAR(twice.gradients[i], 2 * once.gradients[i], 1e-12);
}

// Every kind of neighbour that a fusion looks for.
Graph smooth_model() {
    GraphBuilder g("smooth");
    ValueId x = g.input(3, 12, 12);
    x = g.gelu(g.batchnorm(g.conv2d(x, "f.0", 20, {.kernel = 3, .pad = 1}), "f.1"), "f.2");
    x = g.max_pool2d(g.silu(g.conv2d(x, "f.3", 18, {.kernel = 3, .pad = 1}), "f.4"), "f.5");
    x = g.silu(g.linear(g.flatten(x, "f.6"), "f.7", 12), "f.8");
    x = g.gelu(g.add(x, g.linear(x, "f.9", 12), "f.10"), "f.11");
    return g.finish(g.linear(x, "f.12", 3), LossKind::softmax_cross_entropy);
}

TEST(SmoothActivations, GradientsAreFiniteDifferences) {
    Bench<double> bench(smooth_model(), naive(), Isa::portable, 4, 2);
    bench.run();
    const std::vector<double> gradients = bench.gradients;
    const double step = 1e-6;
    for (size_t i = 0; i < bench.parameters.size(); i += 97) {
        const double value = bench.parameters[i];
        bench.parameters[i] = value + step;
        const double above = bench.run();
        bench.parameters[i] = value - step;
        const double below = bench.run();
        bench.parameters[i] = value;
        EXPECT_NEAR((above - below) / (2 * step), gradients[i], 1e-7 + 1e-5 * std::fabs(gradients[i])) << "parameter " << i;
    }
}

TEST(SmoothActivations, APlanOfEachInstructionSetAgreesWithTheNaiveOne) {
    Bench<double> expected(smooth_model(), naive(), Isa::portable, 5, 3);
    const double loss = expected.run();
    for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
        if (isa > best_isa()) continue;
        Bench<float> planned(smooth_model(), PlanOptions{}, isa, 5, 3);
        EXPECT_NEAR(planned.run(), loss, 1e-5 * loss) << isa_name(isa);
        double largest = 0;
        for (const double g : expected.gradients) largest = std::max(largest, std::fabs(g));
        for (size_t i = 0; i < expected.gradients.size(); ++i)
            EXPECT_NEAR(planned.gradients[i], expected.gradients[i], 1e-4 * largest) << isa_name(isa) << " " << i;
    }
}

}  // namespace
}  // namespace xbench
