// What the facets of a communicator do where an implementation has nothing better: a sum in two halves is done whole, memory
// is nobody else's, a meeting is a barrier.
#include "core/communicator.h"

#include <algorithm>

namespace xbench {

void DataPlane::begin_sum(double* data, size_t count, size_t stride, const SumTree& tree, Reduction how) {
    if (how == Reduction::invariant)
        all_reduce_tree(data, count, stride, tree);
    else
        all_reduce_sum(data, count, how);
}

std::vector<void*> NodeMemory::copies(const void*) const { return {}; }

void Communicator::meet_at_copies(const void*, size_t) { barrier(); }

std::vector<int> numbered_in_order(const std::vector<int>& nodes) {
    std::vector<int> seen, numbers;
    for (const int node : nodes) {
        const auto found = std::find(seen.begin(), seen.end(), node);
        numbers.push_back(static_cast<int>(found - seen.begin()));
        if (found == seen.end()) seen.push_back(node);
    }
    return numbers;
}

}  // namespace xbench
