// Opens either kind of set.
#include "data/datasets.h"

#include "core/error.h"
#include "core/parallel_for.h"
#include "data/import/leaks.h"
#include "data/set/h5.h"
#include "data/set/memory_dataset.h"
#include "data/synthetic/synthetic.h"

namespace xbench {

std::unique_ptr<Dataset> open_dataset(const DataConfig& config) {
    if (config.synthetic.count > 0 && !config.path.empty()) {
        throw UsageError("both a path and synthetic images are asked for", "/data", "keep one of path and synthetic");
    }
    if (config.synthetic.count > 0) return std::make_unique<MemoryDataset>(make_synthetic(config.synthetic));
    if (config.path.empty()) {
        throw UsageError("no data set", "/data/path", "name an HDF5 set, or use \"synthetic\": {\"count\": 4096}");
    }
    return open_h5(config.path, config.memory_mib << 20);
}

void check_leaks(const DataConfig& config, const Dataset& dataset, int threads) {
    if (config.leaks == "refuse")
        refuse_leaks(find_leaks(dataset, threads > 0 ? threads : usable_cores()), dataset.info().source);
}

}  // namespace xbench
