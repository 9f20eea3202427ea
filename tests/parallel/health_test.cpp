// Numbers that are not finite and replicas that differ, named by tensor, step and rank.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/error.h"
#include "core/plain_nan.h"
#include "models/registry.h"
#include "parallel/train/health.h"
#include "tests/parallel/run_on.h"

namespace xbench::test {
namespace {

TEST(Health, ALossThatIsNotANumberStopsTheRun) {
    Config config = small_run();
    config.train.learning_rate = 1e30;
    try {
        run_on(2, config);
        FAIL();
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("training step"), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("on rank"), std::string::npos) << error.what();
    }
}

TEST(Health, NamesTensorStepAndRank) {
    ModelConfig model;
    model.name = "pneumonia_cnn";
    const Graph graph = build_model(model);
    Cpu device;
    ModelState state(graph, device);
    state.initialize(1);
    EXPECT_NO_THROW(check_finite(state, 7, 2));
    const ValueId id = graph.parameters[2];
    state.gradients.as<float>()[state.flat.find(id).begin + 3] = std::numeric_limits<float>::infinity();
    try {
        check_finite(state, 7, 2);
        FAIL();
    } catch (const Error& error) {
        const std::string expected = "training step 7: the gradient of " + graph.value(id).name + "[3] is inf on rank 2";
        EXPECT_EQ(std::string(error.what()).substr(0, expected.size()), expected);
    }
}

// x86 makes NaN with its sign set.
TEST(Health, WhatIsNoNumberHasNoSign) {
    ModelConfig model;
    model.name = "pneumonia_cnn";
    const Graph graph = build_model(model);
    Cpu device;
    ModelState state(graph, device);
    state.parameters.as<float>()[0] = -std::numeric_limits<float>::quiet_NaN();
    const std::string found = find_not_finite(state);
    EXPECT_TRUE(found.ends_with("] is nan")) << found;
    EXPECT_EQ(fmt::format("{}", plain_nan(-std::numeric_limits<double>::quiet_NaN())), "nan");
    EXPECT_EQ(plain_nan(-2.5), -2.5);
}

TEST(Health, ReplicasThatDifferAreNamed) {
    std::vector<std::string> said(3);
    on_ranks(3, [&](Communicator& communicator) {
        ModelConfig model;
        model.name = "pneumonia_cnn";
        const Graph graph = build_model(model);
        Cpu device;
        ModelState state(graph, device);
        state.initialize(1);
        check_replicas(state, 100, communicator);
        if (communicator.rank() == 2) state.parameters.as<float>()[5] += 1;
        try {
            check_replicas(state, 200, communicator);
        } catch (const Error& error) {
            said[static_cast<size_t>(communicator.rank())] = error.what();
        }
    });
    for (const std::string& line : said)
        EXPECT_EQ(line.find("after training step 200: rank 2 no longer has rank 0's weights"), 0u) << line;
}

}  // namespace
}  // namespace xbench::test
