// Graphs and counts that tests of plans share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "models/graph_builder.h"
#include "models/registry.h"
#include "plan/plan.h"

namespace xbench::test {

inline PlanOptions naive() {
    PlanOptions options;
    options.naive = true;
    return options;
}

// A layer of MobileNet (Howard et al. 2017): a filter for each group of channels, then 1x1 filters over all of them.
inline Graph separable(int groups) {
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

inline Graph small_model(const char* name, int size) {
    ModelConfig config;
    config.name = name;
    config.size = size;
    return build_model(config);
}

inline int64_t count_steps(const Plan& plan, OpKind op) {
    return std::count_if(plan.steps.begin(), plan.steps.end(), [&](const PlannedStep& s) { return s.problem.op == op; });
}

inline int64_t count_kernels(const Plan& plan, OpKind op, const std::string& name) {
    return std::count_if(plan.steps.begin(), plan.steps.end(),
                         [&](const PlannedStep& s) { return s.problem.op == op && s.kernel && name == s.kernel->name; });
}

}  // namespace xbench::test
