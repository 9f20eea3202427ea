// A model's inputs and outputs from a data set.
#include "parallel/train/dataset_model.h"

#include <fmt/format.h>

#include "core/error.h"
#include "models/registry.h"

namespace xbench {

namespace {

// What a configuration says of the model's inputs and outputs is a demand on the data set. 0: none.
void check_demand(int64_t wanted, int64_t have, const char* key, const DatasetInfo& info, const std::string& remedy) {
    if (wanted == 0 || wanted == have) return;
    throw UsageError(fmt::format("model.{} is {}, but {} has {}", key, wanted, info.source, have), "configuration",
                     fmt::format("leave model.{} out, or {}", key, remedy));
}

}  // namespace

ModelConfig model_for(const ModelConfig& wanted, const DatasetInfo& info) {
    if (info.height != info.width)
        throw Error(fmt::format("images are {}x{}; the models take square ones", info.height, info.width), info.source,
                    "import them with --size");
    check_demand(wanted.channels, info.channels, "channels", info, "import the images with --channels");
    check_demand(wanted.size, info.height, "size", info, "import the images with --size");
    check_demand(wanted.classes, info.classes(), "classes", info, "import images of that many classes");
    ModelConfig model = wanted;
    model.channels = info.channels;
    model.size = info.height;
    model.classes = info.classes();
    model.multilabel = info.multilabel;
    return resolve_model(model);
}

}  // namespace xbench
