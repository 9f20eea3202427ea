// Gathering and adding.
#include "parallel/comm/host_sums.h"

#include "core/gather.h"
#include "kernels/rank_sum/rank_sum.h"

namespace xbench {

void sum_on_host(const RankSums& sums, double* data, size_t count, size_t stride) {
    const auto blocks = static_cast<size_t>(sums.blocks());
    std::vector<double> mine;
    for (size_t block = 0; block < blocks; ++block)
        mine.insert(mine.end(), data + block * stride, data + block * stride + count);
    const std::vector<double> numbers = gather_values(sums.communicator, mine);
    std::vector<const double*> from;
    for (size_t addend = 0; addend < sums.tree.merges.size(); ++addend) from.push_back(numbers.data() + addend * count);
    sum_over_ranks(Isa::portable, Addends<double>{from.data(), static_cast<int>(from.size()), sums.tree.merges.data()},
                   &data, 1, 0, count);
}

}  // namespace xbench
