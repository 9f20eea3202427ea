// The plan of each model as a text to review: a change of fusion, layout, dispatch or placement shows in the diff of
// tests/plan/golden/MODEL.txt. XBENCH_UPDATE_GOLDEN=1 writes the files anew.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "kernels/registry.h"
#include "models/registry.h"
#include "plan/plan.h"

namespace xbench {
namespace {

bool has_rows(Isa isa) {
    const auto rows = kernel_table();
    return std::any_of(rows.begin(), rows.end(), [&](const Kernel& row) { return row.isa == isa; });
}

// A training step and an inference of 8 images, as a machine with AVX-512 runs them.
std::string plans_of(const std::string& model) {
    ModelConfig config;
    config.name = model;
    const Graph graph = build_model(config);
    std::string text = "# Made by XBENCH_UPDATE_GOLDEN=1 test_plan; one process, one thread, 8 images in 8 virtual ranks\n";
    for (const bool training : {true, false}) {
        PlanOptions options;
        options.training = training;
        options.max_batch = 8;
        text +=
            std::string(training ? "\ntraining\n" : "\ninference\n") + explain(compile(graph, Target{Isa::avx512}, options));
    }
    return text;
}

std::string first_difference(const std::string& golden, const std::string& now) {
    std::istringstream a(golden), b(now);
    std::string expected, actual;
    for (int line = 1;; ++line) {
        const bool more_a = static_cast<bool>(std::getline(a, expected)),
                   more_b = static_cast<bool>(std::getline(b, actual));
        if (!more_a && !more_b) return "";
        if (more_a != more_b || expected != actual)
            return "line " + std::to_string(line) + "\n  reviewed: " + (more_a ? expected : "(end)") +
                   "\n  now:      " + (more_b ? actual : "(end)");
    }
}

TEST(GoldenPlans, AreTheOnesThatWereReviewed) {
    if (!has_rows(Isa::avx512)) GTEST_SKIP() << "built without AVX-512 rows";
    const std::filesystem::path folder = std::string(XB_SOURCE_DIR) + "/tests/plan/golden";
    int models = 0;
    for (const ModelInfo& info : model_table()) {
        const std::filesystem::path path = folder / (std::string(info.name) + ".txt");
        const std::string now = plans_of(std::string(info.name));
        ++models;
        if (std::getenv("XBENCH_UPDATE_GOLDEN")) {
            std::filesystem::create_directories(folder);
            std::ofstream(path) << now;
            continue;
        }
        std::ifstream file(path);
        ASSERT_TRUE(file) << path << " is missing; run with XBENCH_UPDATE_GOLDEN=1 and review it";
        std::stringstream golden;
        golden << file.rdbuf();
        EXPECT_EQ(first_difference(golden.str(), now), "")
            << path << ": run with XBENCH_UPDATE_GOLDEN=1 and review the diff";
    }
    EXPECT_GE(models, 5);
}

}  // namespace
}  // namespace xbench
