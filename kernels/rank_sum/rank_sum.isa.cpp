// Adds the ranks' copies of a buffer, vector by vector, in the order that rank_sum.h describes.
// Bound by memory: `count` reads and `targets` writes an element.
#include "kernels/kernel.h"
#include "kernels/leaf_tree.h"
#include "kernels/simd/simd.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {

void sum_floats(const float* const* from, int count, const uint8_t* merges, float* const* to, int targets, size_t begin,
                size_t end);
void sum_doubles(const double* const* from, int count, const uint8_t* merges, double* const* to, int targets, size_t begin,
                 size_t end);

namespace {

constexpr int unroll = 4;

// The tree's sum of the values value(0) ... value(count-1). T supports +.
template <class T, class Value>
XB_INLINE T tree_sum(int count, const uint8_t* merges, Value value) {
    T stack[leaf_tree_depth];
    int level = 0;
    for (int k = 0; k < count; ++k) {
        stack[level++] = value(k);
        for (int left = merges[k]; left > 0; --left, --level) stack[level - 2] = stack[level - 2] + stack[level - 1];
    }
    for (; level > 1; --level) stack[level - 2] = stack[level - 2] + stack[level - 1];
    return stack[0];
}

// The usual case, two addends, without a stack.
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

void sum_floats(const float* const* from, int count, const uint8_t* merges, float* const* to, int targets, size_t begin,
                size_t end) {
    size_t i = begin;
    if (count == 2) i = sum_pairs(from[0], from[1], to, targets, begin, end);
    for (; i + vf_width <= end; i += vf_width) {
        const VF sum = tree_sum<VF>(count, merges, [&](int k) { return vf_load(from[k] + i); });
        for (int t = 0; t < targets; ++t) vf_store(to[t] + i, sum);
    }
    for (; i < end; ++i) {
        const float sum = tree_sum<float>(count, merges, [&](int k) { return from[k][i]; });
        for (int t = 0; t < targets; ++t) to[t][i] = sum;
    }
}

void sum_doubles(const double* const* from, int count, const uint8_t* merges, double* const* to, int targets, size_t begin,
                 size_t end) {
    for (size_t i = begin; i < end; ++i) {
        const double sum = tree_sum<double>(count, merges, [&](int k) { return from[k][i]; });
        for (int t = 0; t < targets; ++t) to[t][i] = sum;
    }
}

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
