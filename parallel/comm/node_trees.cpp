// A tree of sums over ranks, cut where nodes begin.
#include <algorithm>

#include "parallel/comm/comm_hierarchical.h"

namespace xbench {
namespace {

// Walks through the tree as an adding rank does, with a stack that holds the runs of addends whose sums it would hold.
class Cutter {
public:
    Cutter(const SumTree& tree, const std::vector<int>& nodes, int node)
        : tree_(tree), nodes_(nodes), node_(node), merges_(tree.merges.size()) {}

    NodeTrees cut() {
        trees_.between.addends.assign(static_cast<size_t>(nodes_.back()) + 1, 0);
        for (size_t rank = 0; rank < nodes_.size(); ++rank) {
            if (rank > 0 && nodes_[rank] != nodes_[rank - 1]) end_of_node(nodes_[rank - 1]);
            for (int a = 0; a < tree_.addends[rank]; ++a) add(nodes_[rank]);
        }
        end_of_node(nodes_.back());
        trees_.most_parts = trees_.between.most_addends();
        return std::move(trees_);
    }

private:
    struct Run {
        size_t begin, end;  // addends
    };

    void add(int node) {
        open_.push_back({next_, next_ + 1});
        for (int left = tree_.merges[next_]; left > 0; --left) {
            if (open_.size() > 1) {
                open_[open_.size() - 2].end = open_.back().end;
                open_.pop_back();
                ++merges_[next_];
            } else {  // with a sum of an earlier node
                if (!open_.empty()) end_of_node(node);
                ++trees_.between.merges.back();
            }
        }
        ++next_;
    }

    // Nothing of this node is added to the open runs any more: each is a part.
    void end_of_node(int node) {
        for (const Run& run : open_) {
            ++trees_.between.addends[static_cast<size_t>(node)];
            trees_.between.merges.push_back(0);
            if (node == node_) trees_.parts.push_back(part_of(run));
        }
        open_.clear();
    }

    NodeTrees::Part part_of(const Run& run) const {
        NodeTrees::Part part;
        part.tree.merges.assign(merges_.begin() + static_cast<ptrdiff_t>(run.begin),
                                merges_.begin() + static_cast<ptrdiff_t>(run.end));
        size_t first = 0;  // of the rank
        for (size_t rank = 0; rank < nodes_.size(); ++rank) {
            const size_t end = first + static_cast<size_t>(tree_.addends[rank]);
            const size_t from = std::clamp(run.begin, first, end), to = std::clamp(run.end, first, end);
            if (nodes_[rank] == node_) {
                part.tree.addends.push_back(static_cast<int>(to - from));
                part.skip.push_back(static_cast<int>(from - first));
            }
            first = end;
        }
        return part;
    }

    const SumTree& tree_;
    const std::vector<int>& nodes_;
    const int node_;
    std::vector<uint8_t> merges_;  // of each addend, within its node
    std::vector<Run> open_;
    size_t next_ = 0;  // addend
    NodeTrees trees_;
};

}  // namespace

NodeTrees node_trees(const SumTree& tree, const std::vector<int>& nodes, int node) {
    return Cutter(tree, nodes, node).cut();
}

}  // namespace xbench
