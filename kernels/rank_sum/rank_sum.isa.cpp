// Adds the ranks' copies of a buffer, four vectors at a time, in the fixed tree of kernels/leaf_tree.h over
// ranks in place of leaves.
// Bound by memory: `ranks` reads and `targets` writes an element.
#include "kernels/kernel.h"
#include "kernels/leaf_tree.h"
#include "kernels/simd.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {

void sum_floats(const float* const* from, int ranks, float* const* to, int targets, size_t begin, size_t end);
void sum_doubles(const double* const* from, int ranks, double* const* to, int targets, size_t begin, size_t end);

namespace {

constexpr int unroll = 4;

// The tree's sum of the values value(0) ... value(ranks-1). T supports +.
template <class T, class Value>
XB_INLINE T tree_sum(int ranks, Value value) {
    T stack[leaf_tree_depth];
    int level = 0;
    for (int rank = 0; rank < ranks; ++rank) {
        stack[level++] = value(rank);
        for (int merges = leaf_tree_merges(rank); merges > 0; --merges, --level)
            stack[level - 2] = stack[level - 2] + stack[level - 1];
    }
    for (; level > 1; --level) stack[level - 2] = stack[level - 2] + stack[level - 1];
    return stack[0];
}

// The usual case, two ranks, without a stack.
size_t sum_pairs(const float* a, const float* b, float* const* to, int targets, size_t begin, size_t end) {
    constexpr size_t block = size_t{unroll} * vf_width;
    size_t i = begin;
    for (; i + block <= end; i += block) {
        VF sum[unroll];
#pragma GCC unroll 4
        for (int u = 0; u < unroll; ++u) sum[u] = vf_load(a + i + u * vf_width) + vf_load(b + i + u * vf_width);
        for (int t = 0; t < targets; ++t)
#pragma GCC unroll 4
            for (int u = 0; u < unroll; ++u) vf_store(to[t] + i + u * vf_width, sum[u]);
    }
    return i;
}

}  // namespace

void sum_floats(const float* const* from, int ranks, float* const* to, int targets, size_t begin, size_t end) {
    size_t i = begin;
    if (ranks == 2) i = sum_pairs(from[0], from[1], to, targets, begin, end);
    for (; i + vf_width <= end; i += vf_width) {
        const VF sum = tree_sum<VF>(ranks, [&](int rank) { return vf_load(from[rank] + i); });
        for (int t = 0; t < targets; ++t) vf_store(to[t] + i, sum);
    }
    for (; i < end; ++i) {
        const float sum = tree_sum<float>(ranks, [&](int rank) { return from[rank][i]; });
        for (int t = 0; t < targets; ++t) to[t][i] = sum;
    }
}

void sum_doubles(const double* const* from, int ranks, double* const* to, int targets, size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
        const double sum = tree_sum<double>(ranks, [&](int rank) { return from[rank][i]; });
        for (int t = 0; t < targets; ++t) to[t][i] = sum;
    }
}

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
