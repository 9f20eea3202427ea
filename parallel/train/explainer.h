// Grad-CAM over images of a data set: for each question the map of one class on one image (eval/gradcam.h). One pass forward
// and back through an ordinary plan, in single precision.
//
// An evaluation's batch normalisation is a fixed scale and shift a channel. It is run as a convolution of one pixel in as
// many groups as there are channels, whose gradient every plan has.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "data/set/dataset.h"
#include "kernels/device.h"
#include "parallel/checkpoint/checkpoint.h"
#include "parallel/train/inference.h"

namespace xbench {

struct HeatQuestion {
    int64_t sample = 0;  // index in the data set
    int64_t of_class = 0;
};

// {rows,columns} of the layer, before it is enlarged or divided by its maximum.
struct HeatMap {
    HeatQuestion question;
    int64_t rows = 0, columns = 0;
    std::vector<float> map;
    float logit = 0;  // of the class
};

// In the order of the questions. `layer` as gradcam_layer takes it. Throws Error where the weights do not fit the graph.
std::vector<HeatMap> explain(const Graph& graph, const WeightSet& weights, const ModelDescription& about,
                             const Dataset& dataset, std::span<const HeatQuestion> questions, const std::string& layer,
                             Device& device, const ImagesDone& done = {});

// The model with its batch normalisations as convolutions of the same names ("f.1.weight" {c,1,1,1}, "f.1.bias"), and the
// weights for it.
struct FoldedModel {
    Graph graph;
    WeightSet weights;
};
FoldedModel fold_batchnorm(const Graph& graph, const WeightSet& weights);

}  // namespace xbench
