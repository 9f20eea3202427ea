// The table of models. The definitions' own inputs are those of the published systems.
#include "models/registry.h"

#include "core/error.h"
#include "core/nearest.h"
#include "models/small_cnns.h"

namespace xbench {

const std::vector<ModelInfo>& model_table() {
    static const std::vector<ModelInfo> table{
        {"pneumonia_cnn", 1, 64, 2, 8, false, {8, 16, 32}, "A: pneumonia or normal, chest X-rays", pneumonia_cnn},
        {"fracture_cnn", 1, 48, 2, 32, false, {32, 64, 128}, "B: bone fracture or none, X-rays", fracture_cnn},
        {"rsna_cnn", 1, 128, 2, 32, false, {16, 32}, "C: pneumonia detection, RSNA", rsna_cnn},
        {"cifar_cnn", 3, 32, 10, 64, false, {32, 64}, "D: CIFAR-10", cifar_cnn},
        {"nih_cnn", 3, 224, 14, 16, true, {32, 64, 128}, "E: 14 lung diseases, NIH ChestX-ray14", nih_cnn},
    };
    return table;
}

const ModelInfo& find_model(const std::string& name) {
    std::vector<std::string> names;
    for (const ModelInfo& model : model_table()) {
        if (model.name == name) return model;
        names.push_back(model.name);
    }
    const std::string close = nearest(name, names);
    throw UsageError("unknown model " + name, "model",
                     (close.empty() ? std::string() : "did you mean " + close + "? ") + "`xbench models` lists them");
}

ModelConfig resolve_model(ModelConfig config) {
    const ModelInfo& info = find_model(config.name);
    if (config.channels == 0) config.channels = info.channels;
    if (config.size == 0) config.size = info.size;
    if (config.classes == 0) {
        config.classes = info.classes;
        config.multilabel = info.multilabel;
    }
    if (config.widths.empty()) config.widths = info.widths;
    for (const int64_t width : config.widths)
        if (width < 1) throw UsageError("a width must be at least 1", "/model/widths of " + config.name);
    return config;
}

Graph build_model(const ModelConfig& config) {
    const ModelConfig resolved = resolve_model(config);
    return find_model(resolved.name).build(resolved);
}

}  // namespace xbench
