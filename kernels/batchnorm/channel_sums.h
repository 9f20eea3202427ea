// The two sums over the batch that batch normalisation takes for each channel, forward and backward, in both layouts.
// Numbers are added in f32 over short runs (512 floats: 16 lanes of 32) and from there on in double: about as exact as
// adding in double throughout, at the speed of memory. A leaf's sum goes into the workspace, {leaves, groups, 2, 16}
// doubles, so that the threads share leaves as well as channels; then come the lanes and the tree over leaves.
#pragma once

#include "kernels/simd/chunk.h"
#include "kernels/simd/leaf_sum.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {

enum { run_chunks = 32, sum_unroll = vf_width == 16 ? 4 : 2 };

struct SumPair {
    double lane[2][chunk_size];
};

// Adds a plane of `count` floats to the sums. terms(i, left, a, b): the chunk's two terms; floats from i on, `left` of them.
template <class Terms>
XB_INLINE void add_plane(SumPair& sums, int64_t count, Terms&& terms) {
    const int64_t whole = count / chunk_size;
    for (int64_t start = 0; start < whole; start += run_chunks) {
        const int64_t end = start + run_chunks < whole ? start + run_chunks : whole;
        Chunk a[sum_unroll], b[sum_unroll];
        for (int u = 0; u < sum_unroll; ++u) a[u] = b[u] = chunk_set1(0);
        int64_t i = start;
        for (; i + sum_unroll <= end; i += sum_unroll)
            for (int u = 0; u < sum_unroll; ++u) terms((i + u) * chunk_size, int64_t{chunk_size}, a[u], b[u]);
        for (; i < end; ++i) terms(i * chunk_size, int64_t{chunk_size}, a[0], b[0]);
        for (int u = 1; u < sum_unroll; ++u) a[0] = a[0] + a[u], b[0] = b[0] + b[u];
        chunk_add_to(sums.lane[0], a[0]);
        chunk_add_to(sums.lane[1], b[0]);
    }
    if (const int64_t left = count - whole * chunk_size; left > 0) {
        Chunk a = chunk_set1(0), b = chunk_set1(0);
        terms(whole * chunk_size, left, a, b);
        chunk_add_to(sums.lane[0], a);
        chunk_add_to(sums.lane[1], b);
    }
}

// Adds `count` floats of x as batch normalisation's statistics take them: x - K and (x - K)^2.
XB_INLINE void add_shifted(SumPair& sums, const float* x, int64_t count, const Chunk& shift) {
    add_plane(sums, count, [&](int64_t i, int64_t left, Chunk& a, Chunk& b) {
        Chunk d = chunk_load(x + i, left) - shift;
        if (left < chunk_size) {  // x - K must be 0 in the lanes that are not there
            float lane[chunk_size] = {};
            chunk_store(lane, d, left);
            d = chunk_load(lane);
        }
        a = a + d;
        b = chunk_fma(d, d, b);
    });
}

// Sums of all leaves and groups into the workspace. plane(n, group, sums) adds one image's plane.
template <class AddImage>
XB_INLINE void leaf_sums(const Planes& planes, const StepContext& step, SumPair* partial, const Team& team,
                         AddImage&& image) {
    const Share share = share_of(step.leaves * planes.groups, team);
    for (int64_t task = share.begin; task < share.end; ++task) {
        const int64_t v = task / planes.groups, group = task % planes.groups;
        SumPair sums = {};
        for (int64_t n = step.leaf_begin[v]; n < step.leaf_begin[v + 1]; ++n) image(n, group, sums);
        partial[task] = sums;
    }
}

XB_INLINE int64_t group_of(const Planes& planes, int64_t c) { return planes.blocked ? c / chunk_size : c; }

// One of a pair's two numbers, of channel c.
struct PairNumber {
    bool blocked;
    int64_t which, c;
    __attribute__((always_inline)) double operator()(const SumPair& sums) const {
        const double* lane = sums.lane[which];
        return blocked ? lane[c % chunk_size] : sum_of_lanes(lane);
    }
};

// The tree over leaves: out {2, channels}. leaf(v, group, number) is the sum of a leaf, made with
// number(pair), the one of a pair's numbers that is asked for.
template <class Leaf>
XB_INLINE void add_leaf_sums(const Planes& planes, const StepContext& step, double* out, const Team& team, Leaf&& leaf) {
    const Share share = share_of(planes.channels * 2, team);
    for (int64_t task = share.begin; task < share.end; ++task) {
        const int64_t which = task / planes.channels, c = task % planes.channels;
        out[task] = leaf_tree_sum<double>(step, [&](int32_t v) {
            return leaf(v, group_of(planes, c), PairNumber{planes.blocked, which, c});
        });
    }
}

// Of values that were not shifted: the sums of gradients.
XB_INLINE void add_leaves(const Planes& planes, const StepContext& step, const SumPair* partial, double* out,
                          const Team& team) {
    add_leaf_sums(planes, step, out, team,
                  [&](int32_t v, int64_t group, auto&& number) { return number(partial[v * planes.groups + group]); });
}

// What a statistic's sums were taken of.
struct Shifted {
    const float *x, *shift;  // x {images of planes}; K {channels}
};

struct LeafSums {
    double of[2];  // x - K, (x - K)^2
    __attribute__((always_inline)) void operator+=(const LeafSums& right) {
        for (int which = 0; which < 2; ++which) of[which] += right.of[which];
    }
};

// Where K lies far from the mean (a running mean in its first steps), the squares of x - K lose the variance in their
// rounding errors, which are eps (mean - K)^2 / variance of it in f32. Such a leaf is summed again about its own mean, in
// double, and moved to K exactly: S2 + 2 m S1 + n m^2 (Chan, Golub and LeVeque 1983). A leaf decides by its own sums, so
// that the bits depend on neither threads nor ranks.
XB_INLINE void repair_far_leaf(const Planes& planes, const StepContext& step, const Shifted& source, int32_t v, int64_t c,
                               LeafSums& sums) {
    constexpr double far = 256;                 // (mean - K)^2 / variance: below it the error stays under 3e-5
    constexpr double smallest_variance = 1e-5;  // that batch normalisation tells from none
    const int64_t lanes = planes.blocked ? chunk_size : 1, pixels = planes.plane_floats() / lanes;
    const double count = static_cast<double>((step.leaf_begin[v + 1] - step.leaf_begin[v]) * pixels);
    if (!(count > 0)) return;
    const double mean = sums.of[0] / count, variance = sums.of[1] / count - mean * mean;
    if (!(mean * mean > far * ((variance > 0 ? variance : 0) + smallest_variance))) return;
    const double centre = static_cast<double>(source.shift[c]) + mean;
    double first = 0, second = 0;
    for (int64_t n = step.leaf_begin[v]; n < step.leaf_begin[v + 1]; ++n) {
        const float* x = source.x + planes.offset(n, planes.blocked ? c / chunk_size : c) + c % lanes;
        for (int64_t i = 0; i < pixels; ++i, x += lanes) {
            const double d = static_cast<double>(*x) - centre;
            first += d;
            second += d * d;
        }
    }
    sums.of[0] = first + count * mean;
    sums.of[1] = second + 2 * mean * first + count * mean * mean;
}

// The tree over leaves of batch normalisation's statistics: out {2, channels}. leaf(v, group, number) as above.
template <class Leaf>
XB_INLINE void add_statistics(const Planes& planes, const StepContext& step, const Shifted& source, double* out,
                              const Team& team, Leaf&& leaf) {
    const Share share = share_of(planes.channels, team);
    for (int64_t c = share.begin; c < share.end; ++c) {
        const LeafSums total = leaf_tree_sum<LeafSums>(step, [&](int32_t v) {
            LeafSums sums;
            for (int which = 0; which < 2; ++which)
                sums.of[which] = leaf(v, group_of(planes, c), PairNumber{planes.blocked, which, c});
            repair_far_leaf(planes, step, source, v, c, sums);
            return sums;
        });
        for (int which = 0; which < 2; ++which) out[which * planes.channels + c] = total.of[which];
    }
}

XB_INLINE void add_leaf_statistics(const Planes& planes, const StepContext& step, const Shifted& source,
                                   const SumPair* partial, double* out, const Team& team) {
    add_statistics(planes, step, source, out, team,
                   [&](int32_t v, int64_t group, auto&& number) { return number(partial[v * planes.groups + group]); });
}

// The same from sums of `bands` bands of each image, {images, bands, groups}: bands, then images, in ascending order.
XB_INLINE void add_bands(const Planes& planes, const StepContext& step, const Shifted& source, int64_t bands,
                         const SumPair* partial, double* out, const Team& team) {
    add_statistics(planes, step, source, out, team, [&](int32_t v, int64_t group, auto&& number) {
        double sum = 0;
        for (int64_t i = step.leaf_begin[v] * bands; i < step.leaf_begin[v + 1] * bands; ++i)
            sum += number(partial[i * planes.groups + group]);
        return sum;
    });
}

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
