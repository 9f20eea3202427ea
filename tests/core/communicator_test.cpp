// How leaves and elements are split over ranks, and that the tree over ranks' blocks is the tree over leaves.
#include "core/communicator.h"

#include <gtest/gtest.h>

#include <string>

namespace xbench {
namespace {

// The order of additions as text, by the rules of kernels/leaf_tree.h.
std::string merge_all(std::vector<std::pair<std::string, int64_t>> addends, const std::vector<uint8_t>* merges) {
    std::vector<std::pair<std::string, int64_t>> stack;
    const auto merge = [&] {
        const auto right = stack.back();
        stack.pop_back();
        stack.back() = {"(" + stack.back().first + "+" + right.first + ")", stack.back().second + right.second};
    };
    for (size_t k = 0; k < addends.size(); ++k) {
        stack.push_back(addends[k]);
        if (merges)
            for (int left = (*merges)[k]; left > 0; --left) merge();
        else
            while (stack.size() > 1 && stack[stack.size() - 2].second == stack.back().second) merge();
    }
    while (stack.size() > 1) merge();
    return stack[0].first;
}

std::string tree_of(int64_t first, int64_t count) {
    std::vector<std::pair<std::string, int64_t>> leaves;
    for (int64_t v = first; v < first + count; ++v) leaves.emplace_back(std::to_string(v), 1);
    return merge_all(leaves, nullptr);
}

TEST(SumTree, AddsTheLeavesInOneOrderAtAnyNumberOfRanks) {
    for (int64_t leaves = 1; leaves <= 20; ++leaves)
        for (int ranks = 1; ranks <= leaves; ++ranks) {
            std::vector<std::pair<std::string, int64_t>> addends;
            for (int rank = 0; rank < ranks; ++rank)
                for (const LeafBlock& block : blocks_of_rank(leaves, rank, ranks))
                    addends.emplace_back(tree_of(block.first, block.count), block.count);
            const SumTree tree = sum_tree(leaves, ranks);
            ASSERT_EQ(tree.merges.size(), addends.size());
            EXPECT_EQ(merge_all(addends, &tree.merges), tree_of(0, leaves)) << leaves << " leaves, " << ranks << " ranks";
        }
}

TEST(SumTree, OneAddendARankWhereLeavesDivide) {
    EXPECT_EQ(sum_tree(8, 4).addends, (std::vector<int>{1, 1, 1, 1}));
    EXPECT_EQ(sum_tree(8, 3).addends, (std::vector<int>{1, 2, 2}));  // leaves 0-1 | 2-3, 4 | 5, 6-7
}

TEST(RangeOfRank, CoversEverythingOnceInWholeCacheLines) {
    for (const size_t count : {size_t{0}, size_t{1}, size_t{16}, size_t{100}, size_t{4099}})
        for (int ranks = 1; ranks <= 9; ++ranks) {
            size_t at = 0;
            for (int rank = 0; rank < ranks; ++rank) {
                const RankRange range = range_of_rank(count, rank, ranks);
                EXPECT_EQ(range.begin, at);
                EXPECT_TRUE(range.begin % 16 == 0 || range.begin == count);
                at = range.end;
            }
            EXPECT_EQ(at, count);
        }
}

}  // namespace
}  // namespace xbench
