// A sum over a step's leaves in the tree of kernels/leaf_tree.h, for sums small enough to lie on the thread's own stack: a
// number, a vector, a few of them. Tiles of filters, whose sums fill a workspace, add theirs there.
#pragma once

#include "kernels/leaf_tree.h"
#include "kernels/simd/simd.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {

// Of leaf(v), the partial sum of leaf v: a number, a vector, or what has +=. Without leaves: zero.
template <class Sum, class Leaf>
XB_INLINE Sum leaf_tree_sum(const StepContext& step, const Leaf& leaf) {
    Sum stack[leaf_tree_depth + 1];
    int level = 0;
    for (int32_t v = 0; v < step.leaves; ++v) {
        stack[level++] = leaf(v);
        for (int merges = leaf_tree_merges(v); merges > 0; --merges, --level) stack[level - 2] += stack[level - 1];
    }
    for (; level > 1; --level) stack[level - 2] += stack[level - 1];
    return level > 0 ? stack[0] : Sum{};
}

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
