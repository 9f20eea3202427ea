// The passes of compile(), in the order in which they run. Each changes the graph or plan in place.
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
// Chooses each value's layout, inserts reorders, and sets the shapes at the plan's batch.
void choose_layouts(Plan& plan);
// Convolutions take over the pass that follows them, where their kernels can.
void fuse_convolutions(Plan& plan);
// Poolings take over the dropout that follows them, and their gradients its gradient.
void fuse_dropout(Plan& plan);
// With activation checkpointing: the backward pass reads copies of the forward steps' results instead of keeping them.
void checkpoint_activations(Plan& plan);
// With hide_sums: moves filter gradients behind the statistics that are summed next, so that ranks need not wait for the
// sums.
void delay_filter_gradients(Plan& plan);
// Turns nodes into steps with a kernel each.
void select_kernels(Plan& plan);
// Gives every value its arena and offset. `parameter_gradient` as from differentiate.
void place(Plan& plan, const std::vector<ValueId>& parameter_gradient);
// Says which sums over ranks steps go on beside, and until where.
void find_hidden_sums(Plan& plan);
// Says which parameters each step reads and which gradients it makes final; after place.
void find_flat_spans(Plan& plan);

// A node as the registry sees it, once shapes and layouts are set.
Problem problem_of(const Plan& plan, const Node& node);
// The row that the registry would choose for a node; null where there is none: select_kernels will say so, with the layer.
const Kernel* chosen(const Plan& plan, const Node& node);
bool reads(const Node& node, ValueId id);
void erase_nodes(Graph& graph, const std::vector<bool>& dead);
// Windows that touch without overlapping, without padding, whose positions and closed_window fit a byte.
bool touching_windows(const Pool2d& a);
// How many nodes read each value.
std::vector<int> count_uses(const Graph& graph);

}  // namespace xbench
