// What a configuration leaves to the data set: weights of classes and positives that follow from its training split, and the
// model's graph with the loss and the frozen parameters that a training asks for.
#pragma once

#include "core/config.h"
#include "core/graph.h"
#include "data/set/dataset.h"
#include "parallel/checkpoint/checkpoint.h"

namespace xbench {

// pos_weight and class_weights as numbers. Throws UsageError where they do not fit the data set, or a class has no image to
// count.
TrainConfig resolve_weights(const TrainConfig& config, const Dataset& dataset);

// Of a configuration whose weights are resolved.
LossDescription loss_of(const TrainConfig& resolved);
Graph training_graph(const ModelConfig& model, const TrainConfig& resolved);
void set_loss(Graph& graph, const LossDescription& loss);

// What a sum of losses of these images is divided by: their number, or the sum of their weights.
double loss_divisor(const LossDescription& loss, const Dataset& dataset, std::span<const int64_t> images);

}  // namespace xbench
