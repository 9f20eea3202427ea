// Gathering and adding.
#include "parallel/comm/host_sums.h"

#include <cstring>

#include "kernels/rank_sum/rank_sum.h"

namespace xbench {

void sum_on_host(const RankSums& sums, double* data, size_t count, size_t stride) {
    const auto blocks = static_cast<size_t>(sums.blocks());
    std::vector<std::byte> mine(blocks * count * sizeof(double));
    for (size_t block = 0; block < blocks && count > 0; ++block)
        std::memcpy(mine.data() + block * count * sizeof(double), data + block * stride, count * sizeof(double));
    const std::vector<std::byte> all = sums.communicator.all_gather_bytes(mine);
    std::vector<double> numbers(all.size() / sizeof(double));
    if (!all.empty()) std::memcpy(numbers.data(), all.data(), all.size());
    std::vector<const double*> from;
    for (size_t addend = 0; addend < sums.tree.merges.size(); ++addend) from.push_back(numbers.data() + addend * count);
    sum_over_ranks(Isa::portable, Addends<double>{from.data(), static_cast<int>(from.size()), sums.tree.merges.data()},
                   &data, 1, 0, count);
}

}  // namespace xbench
