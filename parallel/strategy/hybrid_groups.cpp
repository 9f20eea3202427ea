// Splitting by node, and across nodes by the place inside a node.
#include "parallel/strategy/hybrid_groups.h"

#include <algorithm>

#include "core/error.h"

namespace xbench {

HybridGroups::HybridGroups(Communicator& all) {
    const std::vector<int> nodes = all.nodes();
    const auto ranks_on = [&](int node) { return std::count(nodes.begin(), nodes.end(), node); };
    for (const int node : nodes)
        if (ranks_on(node) != ranks_on(nodes.front()))
            throw UsageError("the nodes have different numbers of ranks", "/train/hybrid_sharding",
                             "start the same number of ranks on each node, or leave it out");
    const int mine = nodes[static_cast<size_t>(all.rank())];
    const auto first = std::find(nodes.begin(), nodes.end(), mine) - nodes.begin();
    node_ = all.split(mine);
    replicas_ = all.split(all.rank() - static_cast<int>(first));
}

}  // namespace xbench
