// The five small CNNs of the published systems (docs/systems.md), each a function from its configuration to a graph.
#pragma once

#include "core/config.h"
#include "core/graph.h"

namespace xbench {

Graph pneumonia_cnn(const ModelConfig& config);  // A: 6,066 parameters (gray, 8-16-32)
Graph fracture_cnn(const ModelConfig& config);   // B: 355,202
Graph rsna_cnn(const ModelConfig& config);       // C: 4,199,490 at 128x128
Graph cifar_cnn(const ModelConfig& config);      // D: 591,658 trainable
Graph nih_cnn(const ModelConfig& config);        // E: 3,312,654

}  // namespace xbench
