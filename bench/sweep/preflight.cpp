// Trying data set and model.
#include "bench/sweep/preflight.h"

#include <algorithm>
#include <memory>

#include "core/error.h"
#include "data/datasets.h"
#include "data/load/loader.h"
#include "data/set/h5.h"
#include "kernels/device.h"
#include "parallel/strategy/model_state.h"
#include "parallel/train/dataset_model.h"
#include "parallel/train/resolved_training.h"

namespace xbench {
namespace {

template <class F>
auto at(const char* key, F&& work) {
    try {
        return work();
    } catch (const UsageError&) {
        throw;
    } catch (const Error& error) {
        throw UsageError(error.what(), key);
    }
}

}  // namespace

std::unique_ptr<Dataset> open_briefly(DataConfig data) {
    if (!data.path.empty()) return open_h5(data.path, 0);
    data.synthetic.count = std::min<int64_t>(data.synthetic.count, 256);
    return open_dataset(data);
}

void check_before_rows(const Config& config) {
    const std::unique_ptr<Dataset> dataset = at(config.data.path.empty() ? "/data" : "/data/path", [&] {
        auto opened = open_briefly(config.data);
        for (const Split split : {Split::train, Split::val}) check_split(*opened, split);
        check_leaks(config.data, *opened);
        return opened;
    });
    const TrainConfig train = at("/train", [&] { return resolve_weights(config.train, *dataset); });
    const Graph graph = at("/model", [&] { return training_graph(model_for(config.model, dataset->info()), train); });
    Cpu device;
    ModelState(graph, device).set_positive_weights(train.pos_weight);
    LoaderOptions loader;
    loader.mean = config.data.mean;
    loader.std = config.data.std;
    loader.batch_size = loader.virtual_ranks = 1;
    loader.workers = 0;
    at("/data", [&] { return Loader(*dataset, loader).samples(); });
}

}  // namespace xbench
