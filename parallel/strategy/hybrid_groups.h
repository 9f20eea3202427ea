// The groups of hybrid sharding (parallel/strategy/sharded_units.h): shards are divided among the ranks of a node, and every
// node has all of them.
#pragma once

#include <memory>

#include "core/communicator.h"
#include "parallel/strategy/sharded_units.h"

namespace xbench {

class HybridGroups {
public:
    // Collective over `all`, which must outlive it. Throws UsageError where the nodes have different numbers of ranks.
    explicit HybridGroups(Communicator& all);
    int ranks() const { return node_->size(); }  // of a node
    Sharding sharding(int stage, bool overlapped) const { return {stage, node_.get(), replicas_.get(), overlapped}; }

private:
    std::unique_ptr<Communicator> node_, replicas_;
};

}  // namespace xbench
