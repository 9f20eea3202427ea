// Ranks on several nodes: shared memory inside a node and the network between nodes. Only the first rank of each node, its
// leader, uses the network for sums, gathers and broadcasts. A node then acts like one rank that owns the leaves of all its
// ranks, so that sums have the bits of any other layout: the tree over the ranks' addends (core/communicator.h) falls apart
// into the parts inside the nodes and a tree over these parts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/communicator.h"

namespace xbench {

// How the addends of a sum are added in one node, and then over all nodes.
struct NodeTrees {
    // A run of addends that the tree adds up before any of another node comes in: a tree over the ranks of the node, of
    // which rank r's first skip[r] addends are in earlier parts.
    struct Part {
        SumTree tree;
        std::vector<int> skip;
    };
    std::vector<Part> parts;  // of this node
    SumTree between;          // a node's addends are its parts' sums
    int most_parts = 1;       // of any node
};
// nodes[rank] counts from 0, ascending.
NodeTrees node_trees(const SumTree& tree, const std::vector<int>& nodes, int node);

// The best communicator for the ranks of `network`, of which no other is used afterwards: shared memory where they are all
// on one node, the network where each is on its own, else the hierarchy. Where some ranks of a node cannot share memory, the
// network alone, with the reason in `*note`. own_cores as in shm_meeting.h. Collective.
std::unique_ptr<Communicator> connect_nodes(std::unique_ptr<Communicator> network, bool own_cores,
                                            std::string* note = nullptr);

}  // namespace xbench
