// Activation checkpointing: the bits of the plain plan, in less memory.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "core/hardware.h"
#include "models/registry.h"
#include "tests/plan/equal_units.h"
#include "tests/plan/harness.h"

namespace xbench::test {
namespace {

PlanOptions with_checkpointing(bool on) {
    PlanOptions options;
    options.activation_checkpointing = on;
    return options;
}

Graph model(const char* name) {
    ModelConfig config;
    config.name = name;
    return build_model(config);
}

// Two steps of plain gradient descent: running statistics of the first are read by the second.
void expect_same_bits(const Graph& graph, Isa isa, int threads) {
    SCOPED_TRACE(graph.name);
    PlanOptions plain = with_checkpointing(false), checkpointed = with_checkpointing(true);
    plain.threads = checkpointed.threads = threads;
    Bench<float> a(graph, plain, isa, 9, 8), b(graph, checkpointed, isa, 9, 8);
    for (int step = 0; step < 2; ++step) {
        EXPECT_EQ(a.run(), b.run());
        EXPECT_EQ(a.gradients, b.gradients);
        EXPECT_EQ(a.state, b.state);
        for (Bench<float>* bench : {&a, &b}) {
            ++bench->context.step;
            for (size_t i = 0; i < bench->parameters.size(); ++i) bench->parameters[i] -= 0.01f * bench->gradients[i];
        }
    }
}

class Checkpointed : public testing::TestWithParam<Isa> {
protected:
    void SetUp() override {
        if (GetParam() > best_isa()) GTEST_SKIP() << "this processor has no " << isa_name(GetParam());
    }
};

TEST_P(Checkpointed, EqualsPlainBitForBit) {
    expect_same_bits(every_operator(LossKind::softmax_cross_entropy, 0.25f), GetParam(), 1);
    expect_same_bits(every_operator(LossKind::bce_with_logits), GetParam(), 2);
    expect_same_bits(equal_units(16, 8), GetParam(), 1);
}

INSTANTIATE_TEST_SUITE_P(Isa, Checkpointed, testing::Values(Isa::portable, Isa::avx2, Isa::avx512, Isa::avx512_bf16),
                         [](const auto& instance) { return std::string(isa_name(instance.param)); });

TEST(ActivationCheckpointing, SameBitsForTheModels) {
    for (const ModelInfo& info : model_table()) {
        ModelConfig config;
        config.name = info.name;
        config.size = info.name == std::string("nih_cnn") ? 64 : 32;
        expect_same_bits(build_model(config), usable_isa(), 1);
    }
}

TEST(ActivationCheckpointing, CommunicatesNothingMoreAndUpdatesTheStatisticsOnce) {
    const Graph graph = equal_units(16, 8);
    const Plan plain = compile(graph, Target{Isa::portable}, with_checkpointing(false));
    const Plan checkpointed = compile(graph, Target{Isa::portable}, with_checkpointing(true));
    const auto count = [](const Plan& plan, OpKind op) {
        return std::count_if(plan.steps.begin(), plan.steps.end(),
                             [&](const PlannedStep& step) { return step.problem.op == op; });
    };
    for (const OpKind op : {OpKind::all_reduce, OpKind::batchnorm_finalize})
        EXPECT_EQ(count(checkpointed, op), count(plain, op)) << name_of(op);
    // A unit's convolution is computed again, and the blocked copy of the input. Its normalised image is what the next unit
    // starts from: kept.
    EXPECT_EQ(checkpointed.steps.size(), plain.steps.size() + equal_unit_count + 1);
    EXPECT_DOUBLE_EQ(flops_per_step(checkpointed), flops_per_step(plain));
}

TEST(ActivationCheckpointing, SavesMemory) {
    const auto bytes = [](const Graph& graph, bool on) {
        PlanOptions options = with_checkpointing(on);
        options.max_batch = 32;
        return compile(graph, Target{usable_isa()}, options).activation_bytes;
    };
    // Where fusion has left nothing but indices and what passes between units, nothing is forgotten.
    for (const char* name : {"fracture_cnn", "rsna_cnn"})
        EXPECT_LE(bytes(model(name), true), bytes(model(name), false)) << name;
    for (const char* name : {"pneumonia_cnn", "cifar_cnn", "nih_cnn"})
        EXPECT_LT(bytes(model(name), true), bytes(model(name), false)) << name;
    const Graph units = equal_units(32, 16);
    EXPECT_LT(bytes(units, true), 0.6 * static_cast<double>(bytes(units, false)));
}

TEST(ActivationCheckpointing, IsExplained) {
    const Plan plan = compile(model("cifar_cnn"), Target{Isa::portable}, with_checkpointing(true));
    const std::string text = explain(plan);
    EXPECT_NE(text.find("activation checkpointing"), std::string::npos);
    EXPECT_NE(text.find(" (again)"), std::string::npos) << text;
}

}  // namespace
}  // namespace xbench::test
