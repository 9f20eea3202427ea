// The passes of compile(), in the order in which they run. Each takes the graph or plan and leaves it changed.
#pragma once

#include "plan/plan.h"

namespace xbench {

// Replaces batchnorm by its parts; for inference also drops dropout and the indices of max-pooling.
void lower(Graph& graph, bool training);
// Says in what convolutions and linear layers compute their products; their gradients will take it over.
void choose_products(Graph& graph, DType products);
// Appends the backward pass. Returns the gradient of each parameter (no_value: none) by value id.
std::vector<ValueId> differentiate(Graph& graph);
// conv/linear/batchnorm/add + ReLU in one node, batch normalisation + max-pooling in one, and their gradients likewise.
void fuse(Graph& graph);
// One part of fuse: marks what disappears in `dead`.
void fuse_batchnorm_pool(Graph& graph, std::vector<bool>& dead);
// Chooses each value's layout and inserts reorders.
void choose_layouts(Plan& plan);
// Turns nodes into steps with a kernel each.
void select_kernels(Plan& plan);
// Gives every value its arena and offset. `parameter_gradient` as from differentiate.
void place(Plan& plan, const std::vector<ValueId>& parameter_gradient);

// How many nodes read each value.
std::vector<int> count_uses(const Graph& graph);

}  // namespace xbench
