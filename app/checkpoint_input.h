// What eval and predict share: a checkpoint opened as a model with its weights, and the check that a data set suits it.
#pragma once

#include <string>

#include "core/graph.h"
#include "data/set/dataset.h"
#include "parallel/checkpoint/checkpoint.h"

namespace xbench {

struct LoadedModel {
    std::string path;  // of the file
    WeightSet weights;
    ModelDescription description;
    Graph graph;
};

// `checkpoint` is a .safetensors file that xbench wrote, or the folder that holds it. Throws Error.
LoadedModel load_model(const std::string& checkpoint);

// Throws Error with the import options that would make the set fit.
void check_images_fit(const LoadedModel& model, const DatasetInfo& info);
// Throws Error where the set's classes are not the model's.
void check_classes_fit(const LoadedModel& model, const DatasetInfo& info);

}  // namespace xbench
