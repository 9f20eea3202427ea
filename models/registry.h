// The models by name, and how they are built.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/graph.h"

namespace xbench {

struct ModelInfo {
    const char* name;
    int64_t channels, size, classes;  // the definition's own; a data set's override them
    int64_t batch;                    // the published one, the default of `xbench step`
    bool multilabel;
    std::vector<int64_t> widths;
    const char* summary;
    Graph (*build)(const ModelConfig& resolved);  // channels, size, classes and widths are set
};

const std::vector<ModelInfo>& model_table();
const ModelInfo& find_model(const std::string& name);  // throws UsageError with the nearest name
// Fills what the config leaves open with the definition's own values.
ModelConfig resolve_model(ModelConfig config);
Graph build_model(const ModelConfig& config);

}  // namespace xbench
