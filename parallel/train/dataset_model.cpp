// A model's inputs and outputs from a data set.
#include "parallel/train/dataset_model.h"

#include <fmt/format.h>

#include "core/error.h"
#include "models/registry.h"

namespace xbench {

ModelConfig model_for(const ModelConfig& wanted, const DatasetInfo& info) {
    if (info.height != info.width)
        throw Error(fmt::format("images are {}x{}; the models take square ones", info.height, info.width), info.source,
                    "import them with --size");
    ModelConfig model = wanted;
    model.channels = info.channels;
    model.size = info.height;
    model.classes = info.classes();
    model.multilabel = info.multilabel;
    return resolve_model(model);
}

}  // namespace xbench
