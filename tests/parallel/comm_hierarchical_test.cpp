// Ranks on several nodes, pretended by threads: how trees of sums are cut, every collective, and training, against the same
// on one node.
#include "parallel/comm/comm_hierarchical.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "data/datasets.h"
#include "parallel/train/trainer.h"
#include "tests/parallel/collectives.h"
#include "tests/parallel/small_run.h"
#include "tests/parallel/thread_communicator.h"

namespace xbench {
namespace {

// The sum of these addends as text: "((a+b)+c)".
std::string added(const std::vector<std::string>& addends, const std::vector<uint8_t>& merges) {
    std::vector<std::string> stack;
    const auto merge = [&] {
        stack[stack.size() - 2] = "(" + stack[stack.size() - 2] + "+" + stack.back() + ")";
        stack.pop_back();
    };
    for (size_t a = 0; a < addends.size(); ++a) {
        stack.push_back(addends[a]);
        for (int left = merges[a]; left > 0; --left) merge();
    }
    while (stack.size() > 1) merge();
    return stack[0];
}

// Through the parts of each node, then between nodes.
std::string added_by_node(const SumTree& tree, const std::vector<int>& nodes) {
    std::vector<std::string> sums;
    SumTree between;
    for (int node = 0; node <= nodes.back(); ++node) {
        const NodeTrees trees = node_trees(tree, nodes, node);
        between = trees.between;
        EXPECT_EQ(between.addends[static_cast<size_t>(node)], trees.parts.size());
        EXPECT_GE(trees.most_parts, between.addends[static_cast<size_t>(node)]);
        for (const NodeTrees::Part& part : trees.parts) {
            std::vector<std::string> addends;
            int rank = static_cast<int>(std::find(nodes.begin(), nodes.end(), node) - nodes.begin());
            for (size_t r = 0; r < part.skip.size(); ++r, ++rank)
                for (int a = 0; a < part.tree.addends[r]; ++a)
                    addends.push_back(fmt::format("{}.{}", rank, part.skip[r] + a));
            sums.push_back(added(addends, part.tree.merges));
        }
    }
    return added(sums, between.merges);
}

TEST(NodeTrees, AddInTheOrderOfOneNodeForEveryLayout) {
    int64_t several_parts = 0;
    for (int64_t leaves = 1; leaves <= 12; ++leaves)
        for (int ranks = 1; ranks <= std::min<int64_t>(leaves, 8); ++ranks) {
            const SumTree tree = sum_tree(leaves, ranks);
            std::vector<std::string> addends;
            for (int r = 0; r < ranks; ++r)
                for (int a = 0; a < tree.addends[static_cast<size_t>(r)]; ++a) addends.push_back(fmt::format("{}.{}", r, a));
            const std::string expected = added(addends, tree.merges);
            for (unsigned borders = 0; borders < 1u << (ranks - 1); ++borders) {  // bit r: a node ends behind rank r
                std::vector<int> nodes{0};
                for (int r = 1; r < ranks; ++r) nodes.push_back(nodes.back() + static_cast<int>(borders >> (r - 1) & 1));
                ASSERT_EQ(added_by_node(tree, nodes), expected) << leaves << " leaves, " << ranks << " ranks, " << borders;
                several_parts += node_trees(tree, nodes, 0).most_parts > 1;
            }
        }
    EXPECT_GT(several_parts, 0);
}

TEST(NodeTrees, AreOnePartWhereANodeOwnsASubtree) {
    EXPECT_EQ(node_trees(sum_tree(8, 4), {0, 0, 1, 1}, 1).most_parts, 1);
    EXPECT_EQ(node_trees(sum_tree(8, 3), {0, 0, 1}, 0).most_parts, 2);
}

class CommHierarchical : public testing::TestWithParam<std::vector<int>> {
protected:
    // On each rank, its hierarchy and a communicator that knows of no nodes.
    void on_both(const std::function<void(Communicator& nodes, Communicator& flat)>& body) {
        test::ThreadTeam team(GetParam());
        test::on_ranks(team, [&](Communicator& flat) { body(*connect_nodes(flat.split(0), false), flat); });
    }
};

TEST_P(CommHierarchical, Collectives) {
    on_both([](Communicator& nodes, Communicator&) {
        EXPECT_STREQ(nodes.name(), "shm+mpi");
        EXPECT_EQ(nodes.nodes(), GetParam());
        EXPECT_EQ(test::check_collectives(nodes), "");
    });
}

// Blocks of eight leaves, whose sum depends on its order; longer than one piece of the leader's scratch memory.
template <class T>
void expect_equal_sums(Communicator& nodes, Communicator& flat, size_t count, bool shared) {
    const SumTree tree = sum_tree(8, flat.size());
    const size_t most = static_cast<size_t>(*std::max_element(tree.addends.begin(), tree.addends.end()));
    const AlignedBuffer mine = shared ? nodes.allocate(most * count * sizeof(T)) : AlignedBuffer(most * count * sizeof(T));
    const AlignedBuffer expected(most * count * sizeof(T));
    for (size_t i = 0; i < most * count; ++i)
        mine.as<T>()[i] = expected.as<T>()[i] = T(1) / static_cast<T>(3 + 7 * flat.rank() + static_cast<int>(i % 1013));
    nodes.all_reduce_tree(mine.as<T>(), count, count, tree);
    flat.all_reduce_tree(expected.as<T>(), count, count, tree);
    EXPECT_EQ(std::memcmp(mine.data(), expected.data(), count * sizeof(T)), 0) << count << " elements, shared " << shared;
}

TEST_P(CommHierarchical, SumsHaveTheBitsOfOneNode) {
    on_both([](Communicator& nodes, Communicator& flat) {
        for (const bool shared : {false, true})
            for (const size_t count : {size_t{1}, size_t{777}, size_t{300'000}}) {
                expect_equal_sums<float>(nodes, flat, count, shared);
                expect_equal_sums<double>(nodes, flat, count, shared);
            }
    });
}

TEST_P(CommHierarchical, TrainingEndsWithTheWeightsOfOneProcess) {
    const Config config = test::small_run();
    const auto dataset = open_dataset(config.data);
    const auto self = make_self_communicator();
    const std::string alone = train(config, *dataset, *self, {}).final_weights_hash;
    on_both([&](Communicator& nodes, Communicator&) {
        TrainOptions options;
        EXPECT_EQ(train(config, *dataset, nodes, options).final_weights_hash, alone);
        options.stage = 1;
        EXPECT_EQ(train(config, *dataset, nodes, options).final_weights_hash, alone);
    });
}

INSTANTIATE_TEST_SUITE_P(Layouts, CommHierarchical,
                         testing::Values(std::vector{0, 0, 1, 1}, std::vector{0, 0, 1}, std::vector{0, 1, 1},
                                         std::vector{0, 0, 0, 1, 1, 1}, std::vector{0, 0, 1, 1, 2, 2}));

TEST(ConnectNodes, TakesTheSimplestThatFits) {
    for (const auto& [nodes, name] :
         {std::pair{std::vector{0, 0}, "shm"}, {std::vector{0, 1}, "threads"}, {std::vector{0}, "threads"}}) {
        test::ThreadTeam team(nodes);
        test::on_ranks(team, [&, expected = name](Communicator& c) {
            EXPECT_STREQ(connect_nodes(c.split(0), false)->name(), expected);
        });
    }
}

}  // namespace
}  // namespace xbench
