// Random models: chains with residual sums, branches and values of several users; every operator of GraphBuilder with uneven
// options, in an order that no model of the project has (a batch normalisation of the input, a pooling behind a dropout).
#pragma once

#include <string>

#include "models/graph_builder.h"
#include "search.h"

namespace xbench::test {

struct RandomGraph {
    Graph graph;
    std::string text;  // its layers
};
RandomGraph random_graph(Draw& draw);

}  // namespace xbench::test
