// The parameter counts that the published systems state.
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/registry.h"

namespace xbench {
namespace {

struct Counts {
    int64_t parameters, buffers;
};

Counts count(const ModelConfig& config) {
    const Graph graph = build_model(config);
    Counts counts{};
    for (const ValueId id : graph.state) {
        const Value& value = graph.value(id);
        (value.role == Role::buffer ? counts.buffers : counts.parameters) += value.shape.elements();
    }
    return counts;
}

ModelConfig model(const char* name, int64_t channels = 0, int64_t size = 0) {
    ModelConfig config;
    config.name = name;
    config.channels = channels;
    config.size = size;
    return config;
}

TEST(Parameters, Pneumonia) {
    EXPECT_EQ(count(model("pneumonia_cnn")).parameters, 6066);
    EXPECT_EQ(count(model("pneumonia_cnn", 3)).parameters, 6210);
    ModelConfig wide = model("pneumonia_cnn", 3);
    wide.widths = {16, 32, 32};
    EXPECT_EQ(count(wide).parameters, 14562);
}

TEST(Parameters, Fracture) {
    EXPECT_EQ(count(model("fracture_cnn")).parameters, 355202);
    EXPECT_EQ(count(model("fracture_cnn")).buffers, 0);
}

TEST(Parameters, Rsna) {
    EXPECT_EQ(count(model("rsna_cnn")).parameters, 4199490);
    EXPECT_EQ(count(model("rsna_cnn", 0, 256)).parameters, 16782402);
}

TEST(Parameters, Cifar) {
    EXPECT_EQ(count(model("cifar_cnn")).parameters, 591658);
    EXPECT_EQ(count(model("cifar_cnn")).buffers, 384);
}

TEST(Parameters, Nih) { EXPECT_EQ(count(model("nih_cnn")).parameters, 3312654); }

TEST(Models, ShapesOfFracture) {  // published: 46 23 21 10 8 4, flatten 2048
    const Graph graph = build_model(model("fracture_cnn"));
    std::vector<int64_t> heights;
    for (const Node& node : graph.nodes)
        if (node.op == OpKind::conv2d || node.op == OpKind::max_pool2d) heights.push_back(graph.value(node.out[0]).shape[2]);
    EXPECT_EQ(heights, (std::vector<int64_t>{46, 23, 21, 10, 8, 4}));
}

TEST(Models, AnUnknownNameProposesTheNearest) {
    try {
        find_model("pnuemonia_cnn");
        FAIL();
    } catch (const UsageError& error) {
        EXPECT_NE(std::string(error.what()).find("did you mean pneumonia_cnn"), std::string::npos) << error.what();
    }
}

}  // namespace
}  // namespace xbench
