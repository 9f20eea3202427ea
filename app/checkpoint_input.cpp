// Opens checkpoints; everything about the model comes from the file's metadata.
#include "app/checkpoint_input.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "models/registry.h"

namespace xbench {

LoadedModel load_model(const std::string& checkpoint) {
    LoadedModel model;
    model.path = find_weights(checkpoint).string();
    model.weights = load_weights(model.path);
    model.description = description_of(model.weights, model.path);
    model.graph = build_model(resolve_model(model.description.model));
    match_weights(model.weights, model.graph, model.path);
    const auto names = static_cast<int64_t>(model.description.class_names.size());
    if (names != model.description.model.classes) {
        throw Error(fmt::format("{} class names for {} classes", names, model.description.model.classes), model.path,
                    "use a checkpoint that xbench wrote");
    }
    return model;
}

void check_images_fit(const LoadedModel& model, const DatasetInfo& info) {
    const ModelConfig& want = model.description.model;
    if (info.channels == want.channels && info.height == want.size && info.width == want.size) return;
    throw Error(fmt::format("images of {}x{}x{}, but {} takes {}x{}x{}", info.channels, info.height, info.width, want.name,
                            want.channels, want.size, want.size),
                info.source, fmt::format("import them with --size {} --channels {}", want.size, want.channels));
}

void check_classes_fit(const LoadedModel& model, const DatasetInfo& info) {
    const std::vector<std::string>& ours = model.description.class_names;
    if (info.class_names != ours) {
        throw Error(fmt::format("its classes are {}, the checkpoint's are {}", fmt::join(info.class_names, ", "),
                                fmt::join(ours, ", ")),
                    info.source, "evaluate on a set with the same classes in the same order, or use `xbench predict`");
    }
    if (info.multilabel != model.description.model.multilabel) {
        throw Error(info.multilabel ? "its images have several labels, the model gives one"
                                    : "its images have one label, the model gives several",
                    info.source, "use `xbench predict`");
    }
}

}  // namespace xbench
