// How elements and leaves are split over ranks, and the tree of sums that follows from it.
// A range begins at a cache line, so that no two ranks write to one.
#include "core/sum_tree.h"

#include <algorithm>

namespace xbench {

RankRange range_of_rank(size_t count, int rank, int ranks) {
    constexpr size_t line = 16;  // floats of a cache line
    const size_t lines = (count + line - 1) / line;
    const auto at = [&](int r) {
        return std::min(count, lines * static_cast<size_t>(r) / static_cast<size_t>(ranks) * line);
    };
    return {at(rank), at(rank + 1)};
}

LeafBlock leaves_of_rank(int64_t leaves, int rank, int ranks) {
    const int64_t first = rank * leaves / ranks;
    return {first, (rank + 1) * leaves / ranks - first};
}

std::vector<LeafBlock> blocks_of_rank(int64_t leaves, int rank, int ranks) {
    const LeafBlock own = leaves_of_rank(leaves, rank, ranks);
    std::vector<LeafBlock> blocks;
    for (int64_t first = own.first, end = own.first + own.count; first < end; first += blocks.back().count) {
        int64_t count = 1;
        while (first % (2 * count) == 0 && first + 2 * count <= end) count *= 2;
        blocks.push_back({first, count});
    }
    return blocks;
}

int SumTree::most_addends() const { return *std::max_element(addends.begin(), addends.end()); }

SumTree sum_tree(int64_t leaves, int ranks) {
    SumTree tree;
    std::vector<int64_t> stack;  // leaves under each sum
    for (int rank = 0; rank < ranks; ++rank) {
        const auto blocks = blocks_of_rank(leaves, rank, ranks);
        tree.addends.push_back(static_cast<int>(blocks.size()));
        for (const LeafBlock& block : blocks) {
            stack.push_back(block.count);
            tree.merges.push_back(0);
            for (; stack.size() > 1 && stack[stack.size() - 2] == stack.back(); ++tree.merges.back()) {
                stack.pop_back();
                stack.back() *= 2;
            }
        }
    }
    return tree;
}

}  // namespace xbench
