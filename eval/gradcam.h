// Grad-CAM (Selvaraju et al., ICCV 2017): where in an image a network finds what speaks for a class.
//   A {k,p,q}   what a layer gives for the image, usually the last convolution
//   dA {k,p,q}  the gradient of the class's logit (not of its probability) by A
//   a_k         the mean of dA_k over p,q
//   map {p,q}   max(0, sum_k a_k A_k)
// The map is enlarged afterwards, as the last step is no ReLU then: what speaks against the class does not weaken its
// neighbours. It is drawn divided by its maximum; from its minimum on, even evidence against would be coloured.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/graph.h"

namespace xbench {

// The value that a layer gives: images {1,k,p,q}. "" is the last convolution. Throws UsageError that lists the layers.
ValueId gradcam_layer(const Graph& model, const std::string& layer);

// The model as a function from images to logits, to be compiled for training: without loss and dropout, with the output
// "layer" and its gradient "d(layer)". The gradients of the logits {n,classes} are given in place of labels. No parameter
// is learned. Batch normalisations must be replaced before or behind it: their statistics would be those of the batch.
void make_gradcam_graph(Graph& model, ValueId layer);

// Of one image. Sums are in double precision.
std::vector<float> gradcam_map(std::span<const float> values, std::span<const float> gradients, int64_t channels);

// Bilinear, as PyTorch's interpolate with align_corners=False: pixels are squares, whose centres are interpolated.
std::vector<float> enlarged(std::span<const float> map, int64_t rows, int64_t columns, int64_t to_rows, int64_t to_columns);

// Returns what it divided by; 0: nothing speaks for the class, and the map stays zero.
float divide_by_maximum(std::vector<float>& map);

}  // namespace xbench
