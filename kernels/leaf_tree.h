// The fixed binary tree in which partial sums of leaves are added, wherever they are added: inside a kernel, between the
// ranks of a node, between nodes. Equal trees give equal bits, so the weights do not depend on the number of ranks.
//
// The tree over V leaves is the one of a binary counter: leaves come in ascending order onto a stack; two neighbours that
// cover equally many leaves (1+1, 2+2, 4+4 ...) are added, left + right; when the leaves are used up, what is left on the
// stack is added from the right (newest) to the left. An empty leaf counts as a leaf whose sum is +0.
// For V = 8: ((0+1)+(2+3)) + ((4+5)+(6+7)). An aligned block of 2^j leaves is a subtree, so a rank that owns one sends one
// sum.
//
//     float stack[leaf_tree_depth][width];                     // spare partial sums
//     for (int v = 0; v < leaves; ++v) {
//         compute leaf v into stack[level];  ++level, then
//         for (int merges = leaf_tree_merges(v); merges > 0; --merges, --level) stack[level-2] += stack[level-1];
//     }
//     for (; level > 1; --level) stack[level-2] += stack[level-1];
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace xbench {

enum { leaf_tree_depth = 12 };  // enough for 2048 leaves

// How many additions follow leaf v: the number of trailing one bits of v.
XB_HOST_DEVICE static inline int leaf_tree_merges(int32_t v) {
    int merges = 0;
    for (; v & 1; v >>= 1) ++merges;
    return merges;
}

}  // namespace xbench
