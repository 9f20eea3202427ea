// What eval and predict share: a checkpoint opened as a model with its weights, and the check that a data set suits it.
// Files of xbench say which model they are of. Those of others, as safetensors.torch.save_file writes them, do not: there
// the command line says it, and what it leaves out is read off the tensors' shapes or taken from the model's definition.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "core/graph.h"
#include "data/set/dataset.h"
#include "kernels/device.h"
#include "parallel/checkpoint/checkpoint.h"

namespace xbench {

struct CheckpointOptions {
    std::string checkpoint, model, classes;  // classes: their number, or their names with commas
    std::vector<int64_t> widths;
    std::vector<double> mean, std;
    int64_t size = 0;
    bool multilabel = false;
};
void add_checkpoint_options(CLI::App& command, CheckpointOptions& options);

struct LoadedModel {
    std::string path;  // of the file
    WeightSet weights;
    ModelDescription description;
    Graph graph;
    std::string note;  // for stderr; empty: none
};

// `checkpoint` is a .safetensors file, or the folder that holds it. `info`, where there is one, is of the images that the
// model is meant for; a model of others takes its size, and the names of as many classes, from it. Throws Error.
LoadedModel load_model(const CheckpointOptions& options, const DatasetInfo* info);

// For --log-level debug: which weights gave how many images a second since `start`, and on what.
std::string details_of(const LoadedModel& model, int64_t images, const Device& device,
                       std::chrono::steady_clock::time_point start);

// Throws Error with the import options that would make the set fit.
void check_images_fit(const LoadedModel& model, const DatasetInfo& info);
// Throws Error where the set's classes are not the model's.
void check_classes_fit(const LoadedModel& model, const DatasetInfo& info);

}  // namespace xbench
