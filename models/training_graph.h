// What a training asks of a model's graph beside its layers: another loss, parameters that stay as they are.
#pragma once

#include <string>
#include <vector>

#include "core/graph.h"

namespace xbench {

struct LossOptions {
    Loss attributes;
    bool class_weights = false;  // the constant "class_weight" {k} is read; ModelState sets it
};
// Of the graph's one loss, which names softmax or binary cross-entropy.
void set_loss(Graph& graph, const LossOptions& options);

// Parameters whose names fit a pattern (* any letters, ? one) become constants: no gradient, no moment, no decay, the same
// numbers at the end. A batch normalisation both of whose parameters do takes its running statistics and keeps them. Throws
// UsageError where a pattern fits nothing, or nothing is left to learn.
void freeze(Graph& graph, const std::vector<std::string>& patterns);
bool fits_pattern(const std::string& name, const std::string& pattern);

}  // namespace xbench
