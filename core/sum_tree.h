// How elements and leaves are divided among ranks, and the tree of sums that follows. Counts are elements, ranges are
// half open, ranks count from 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace xbench {

// A rank's part of `count` elements that are split over all ranks: whole cache lines, contiguous, in rank order.
struct RankRange {
    size_t begin, end;
};
RankRange range_of_rank(size_t count, int rank, int ranks);

// The invariant sum over leaves when ranks own different numbers of them. The tree over the leaves is fixed
// (kernels/leaf_tree.h); a rank adds what it can, the aligned blocks of 2^j leaves among its own, and holds one addend for
// each such block. With a power of two of ranks, that is one.
struct LeafBlock {
    int64_t first, count;  // leaves
};
// The leaves of a rank: contiguous, in rank order, sizes differ by at most one.
LeafBlock leaves_of_rank(int64_t leaves, int rank, int ranks);
// Those leaves cut into as few aligned blocks as possible, in ascending order.
std::vector<LeafBlock> blocks_of_rank(int64_t leaves, int rank, int ranks);

// How the addends of such a sum lie on the ranks, the same on all of them.
struct SumTree {
    std::vector<int> addends;     // on each rank
    std::vector<uint8_t> merges;  // for each addend, in rank order: additions of the two newest sums that follow it
    bool operator==(const SumTree&) const = default;
    int most_addends() const;  // on any rank
};
SumTree sum_tree(int64_t leaves, int ranks);

enum class Reduction { invariant, fast };  // fixed tree and the same bits at any number of ranks, or the library's own

}  // namespace xbench
