// A set of procedural chest X-rays (phantom.h draws one).
#include "data/synthetic/synthetic.h"

#include <algorithm>
#include <mutex>

#include <fmt/core.h>

#include "core/error.h"
#include "core/parallel_for.h"
#include "data/set/splits.h"
#include "data/synthetic/phantom.h"

namespace xbench {
void check_synthetic(const SyntheticConfig& config) {
    const auto outside = [](int64_t value, int64_t low, int64_t high) { return value < low || value > high; };
    if (outside(config.count, 1, 100'000'000)) throw UsageError("must be 1 to 100000000", "/data/synthetic/count");
    if (outside(config.size, 8, 4096)) throw UsageError("must be 8 to 4096", "/data/synthetic/size");
    if (config.channels != 1 && config.channels != 3) throw UsageError("must be 1 or 3", "/data/synthetic/channels");
}

ImageSet make_synthetic(const SyntheticConfig& config, int threads, const SyntheticObserver& observer) {
    check_synthetic(config);
    ImageSet set;
    SetRecords& records = set.records;
    records.info = {"synthetic", config.count, config.channels, config.size, config.size, 1, {"normal", "pneumonia"}, false};
    const auto count = static_cast<size_t>(config.count);
    const auto plane = static_cast<size_t>(config.size * config.size);
    const size_t image_bytes = set.image_bytes();
    set.pixels.resize(count * image_bytes);
    std::vector<Phantom> phantoms(count);
    std::mutex telling;
    int64_t done = 0;
    parallel_for(config.count, threads > 0 ? threads : usable_cores(), 16, [&](int64_t i, int) {
        const std::span<uint8_t> image(set.pixels.data() + static_cast<size_t>(i) * image_bytes, image_bytes);
        phantoms[static_cast<size_t>(i)] =
            draw_phantom(config.seed, static_cast<uint32_t>(i), config.size, image.first(plane));
        // A gray X-ray stored as RGB: three equal planes.
        for (size_t c = 1; c < static_cast<size_t>(config.channels); ++c) {
            std::copy_n(image.begin(), plane, image.begin() + static_cast<std::ptrdiff_t>(c * plane));
        }
        if (observer) {
            const std::lock_guard lock(telling);
            observer(++done);
        }
    });
    records.box_offsets.push_back(0);
    for (size_t i = 0; i < count; ++i) {
        records.labels.push_back(phantoms[i].pneumonia ? 1 : 0);
        records.ids.push_back(fmt::format("synthetic-{}-{:06}", config.seed, i));
        records.boxes.insert(records.boxes.end(), phantoms[i].boxes.begin(), phantoms[i].boxes.end());
        records.box_offsets.push_back(static_cast<int64_t>(records.boxes.size()));
    }
    records.splits = assign_splits(records.labels, {}, SplitShares{}, config.seed);
    return set;
}

}  // namespace xbench
