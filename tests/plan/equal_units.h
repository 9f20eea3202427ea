// A model of 24 equal units (convolution, batch normalisation, ReLU) and a small classifier: what a unit costs, in memory
// and in time, can be read off it.
#pragma once

#include <string>

#include "models/graph_builder.h"

namespace xbench::test {

constexpr int equal_unit_count = 24;

inline Graph equal_units(int64_t channels, int64_t size) {
    GraphBuilder g("equal_units");
    ValueId x = g.input(channels, size, size);
    for (int unit = 0; unit < equal_unit_count; ++unit) {
        const std::string name = "u" + std::to_string(unit);
        g.begin_unit(name);
        x = g.conv2d(x, name + ".0", channels, {.kernel = 3, .pad = 1, .bias = false});
        x = g.batchnorm(x, name + ".1");
        x = g.relu(x, name + ".2");
    }
    g.begin_unit("head");
    x = g.global_avg_pool(x, "head.0");
    return g.finish(g.linear(x, "head.1", 10), LossKind::softmax_cross_entropy);
}

}  // namespace xbench::test
