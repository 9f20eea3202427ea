// Leaves of a batch and the ranks that share them.
#include "core/virtual_ranks.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "core/error.h"

namespace xbench {

int64_t leaves_of_batch(const TrainConfig& config, int ranks) {
    if (config.reduction == "invariant") return config.virtual_ranks;
    // Statistics of batch normalisation never leave a leaf: other leaves would be another model.
    if (config.batchnorm == "local")
        return ranks * static_cast<int64_t>(
                           std::bit_floor(static_cast<uint64_t>(std::max<int64_t>(1, config.virtual_ranks / ranks))));
    return ranks * static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(config.accumulate)));
}

std::string too_many_ranks(int64_t ranks, int64_t virtual_ranks) {
    return ranks > virtual_ranks ? fmt::format("{} ranks for {} virtual ranks", ranks, virtual_ranks) : "";
}

std::string too_many_ranks(int64_t ranks, const TrainConfig& config) {
    return config.reduction == "invariant" ? too_many_ranks(ranks, config.virtual_ranks) : "";
}

void check_ranks(const TrainConfig& config, int ranks) {
    if (const std::string mistake = too_many_ranks(ranks, config); !mistake.empty())
        throw UsageError(mistake, "/train/virtual_ranks", "raise it to at least the number of ranks, or start fewer ranks");
    if (const int64_t leaves = leaves_of_batch(config, ranks); config.batch_size < leaves)
        throw UsageError(fmt::format("a batch of {} images cannot be cut into {} virtual ranks", config.batch_size, leaves),
                         "/train/virtual_ranks", "lower virtual_ranks or raise batch_size");
}

}  // namespace xbench
