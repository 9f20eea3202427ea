// Sums over all ranks, where each rank contributes one addend per block of leaves (core/communicator.h). One object holds
// what the trainer, its strategy and the evaluation must agree on.
#pragma once

#include <numeric>
#include <vector>

#include "core/communicator.h"

namespace xbench {

struct RankSums {
    // `leaves` of the global batch. The fast reduction has one leaf a rank.
    RankSums(Communicator& over, Reduction how, int64_t leaves)
        : communicator(over), reduction(how), leaves_of_all(leaves), tree(sum_tree(leaves, over.size())) {
        for (const LeafBlock& block : blocks_of_rank(leaves, over.rank(), over.size()))
            leaves_of_block.push_back(static_cast<int32_t>(block.count));
        most_blocks = tree.most_addends();
    }
    int leaves() const { return std::accumulate(leaves_of_block.begin(), leaves_of_block.end(), 0); }  // of this rank
    int blocks() const { return static_cast<int>(leaves_of_block.size()); }

    // This rank's block b lies at data + b * stride; the total lands in data. Collective.
    template <class T>
    void sum(T* data, size_t count, size_t stride) const {
        sum(data, count, stride, communicator);
    }
    // Over another channel of the same ranks.
    template <class T>
    void sum(T* data, size_t count, size_t stride, Communicator& over) const {
        if (reduction == Reduction::invariant)
            over.all_reduce_tree(data, count, stride, tree);
        else
            over.all_reduce_sum(data, count, reduction);
    }
    // In two halves (Communicator::begin_sum).
    void begin_sum(double* data, size_t count, size_t stride) const {
        communicator.begin_sum(data, count, stride, tree, reduction);
    }
    void end_sum() const { communicator.end_sum(); }

    Communicator& communicator;
    Reduction reduction;
    int64_t leaves_of_all;  // of the global batch
    SumTree tree;
    std::vector<int32_t> leaves_of_block;  // of this rank
    int most_blocks = 1;                   // of any rank
};

}  // namespace xbench
