// What the linear layers' files share: x{n,f} w{k,f} y{n,k}. Of the instruction set that includes it.
#pragma once

#include "kernels/kernel.h"
#include "kernels/leaf_tree.h"
#include "kernels/simd/simd.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

// Features that a forward tile sums at a time, so that its weights stay in the first-level cache for all images. It does not
// depend on the batch: same bits for any split.
constexpr int64_t feature_chunk = 2048;
constexpr int line_floats = 64 / sizeof(float);
// Gradients work on panels of features, copied side by side, and in these on tiles.
constexpr int panel_vectors = 8, tile_vectors = 2;
constexpr int tile_width = tile_vectors * vf_width, panel_width = panel_vectors * vf_width;

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static inline Support supports(const Problem& p) {
    for (int32_t i = 0; i < p.n_in; ++i)
        if (const Support operand = dense_f32(p.in[i], Layout::plain); p.in[i].rank > 0 && !operand) return operand;
    return dense_f32(p.out[0], Layout::plain);
}

// What a forward pass adds in the end, to its outputs [k_first, k_end): bias and ReLU.
static inline void add_bias(const KernelArgs& args, int64_t k_first, int64_t k_end) {
    const int64_t images = args.in[0].dim[0], outputs = args.in[1].dim[0];
    const float* b = has_operand(args.in, args.n_in, 2) ? static_cast<const float*>(args.in[2].data) : nullptr;
    const bool relu = static_cast<const Linear*>(args.attrs)->activation == Activation::relu;
    float* y = static_cast<float*>(args.out[0].data);
    for (int64_t n = 0; n < images; ++n)
        for (int64_t k = k_first; k < k_end; ++k) {
            float value = y[n * outputs + k];
            if (b) value += b[k];
            y[n * outputs + k] = relu && value < 0 ? 0.0f : value;
        }
}

// tile.template of<T>() for the largest T up to most that is at most `count`, which is positive.
template <int most, class Tile>
static auto find_tile(int64_t count, const Tile& tile) {
    if constexpr (most == 1) {
        return tile.template of<1>();
    } else {
        return count < most ? find_tile<most - 1>(count, tile) : tile.template of<most>();
    }
}

// The same for tile.template of<KT, NT>(): KT outputs, NT images.
template <int KT, int NT, class Tile>
static auto find_tile(int64_t outputs, int64_t images, const Tile& tile) {
    if constexpr (KT > 1)
        if (outputs < KT) return find_tile<KT - 1, NT>(outputs, images, tile);
    if constexpr (NT > 1)
        if (images < NT) return find_tile<KT, NT - 1>(outputs, images, tile);
    return tile.template of<KT, NT>();
}

template <int A, int B>
XB_INLINE void clear_sums(VF (&acc)[A][B]) {
#pragma GCC unroll 12
    for (int a = 0; a < A; ++a)
#pragma GCC unroll 12
        for (int b = 0; b < B; ++b) acc[a][b] = vf_zero();
}

// A forward tile's dot products of one chunk, to y {image}{output}; first: of all chunks, else added.
template <int KT, int NT>
XB_INLINE void store_dots(float* to, int64_t outputs, const VF (&acc)[KT][NT], bool first) {
#pragma GCC unroll 6
    for (int n = 0; n < NT; ++n)
#pragma GCC unroll 4
        for (int k = 0; k < KT; ++k) {
            float* y = to + n * outputs + k;
            *y = first ? vf_sum(acc[k][n]) : *y + vf_sum(acc[k][n]);
        }
}

// Stores tile_vectors vectors of which `width` features exist.
XB_INLINE void store_tile_row(float* to, const VF (&v)[tile_vectors], int64_t width) {
#pragma GCC unroll 2
    for (int i = 0; i < tile_vectors; ++i) {
        const int64_t left = width - i * vf_width;
        if (left >= vf_width) {
            vf_store(to + i * vf_width, v[i]);
        } else if (left > 0) {
            vf_store(to + i * vf_width, v[i], vm_first(static_cast<int>(left)));
        }
    }
}

// The same past the caches: a whole tile of whole lines.
XB_INLINE void stream_tile_row(float* to, const VF (&v)[tile_vectors]) {
#pragma GCC unroll 2
    for (int i = 0; i < tile_vectors; ++i) vf_stream(to + i * vf_width, v[i]);
}

template <int KT>
XB_INLINE void add_left(const VF (&left)[KT][tile_vectors], VF (&acc)[KT][tile_vectors]) {
#pragma GCC unroll 8
    for (int k = 0; k < KT; ++k)
#pragma GCC unroll 2
        for (int v = 0; v < tile_vectors; ++v) acc[k][v] = left[k][v] + acc[k][v];
}

// acc = the sums that leaf(v, acc) leaves for each of the step's leaves, added in the tree of kernels/leaf_tree.h.
template <int KT, class Leaf>
XB_INLINE void sum_leaves(const StepContext* step, VF (&acc)[KT][tile_vectors], Leaf leaf) {
    VF stack[leaf_tree_depth][KT][tile_vectors];
    int level = 0;  // partial sums on the stack, without acc
    for (int32_t v = 0; v < step->leaves; ++v) {
        leaf(v, acc);
        for (int merges = leaf_tree_merges(v); merges > 0; --merges) add_left<KT>(stack[--level], acc);
        if (v + 1 == step->leaves) break;
#pragma GCC unroll 8
        for (int k = 0; k < KT; ++k)
#pragma GCC unroll 2
            for (int i = 0; i < tile_vectors; ++i) stack[level][k][i] = acc[k][i];
        ++level;
    }
    while (level > 0) add_left<KT>(stack[--level], acc);
}

// A tile of filter gradients, of which `width` features exist.
template <int KT>
XB_INLINE void store_filters(float* to, int64_t step, const VF (&acc)[KT][tile_vectors], int64_t width, bool past_caches) {
#pragma GCC unroll 8
    for (int k = 0; k < KT; ++k) {
        if (past_caches && width >= tile_width)
            stream_tile_row(to + k * step, acc[k]);
        else
            store_tile_row(to + k * step, acc[k], width);
    }
}

// Gradients that no cache keeps until the optimizer reads them: written past the caches, they need not be read before.
constexpr int64_t streamed_bytes = int64_t{8} << 20;

static inline bool streams(const float* dw, int64_t outputs, int64_t features) {
    return outputs * features * int64_t{sizeof(float)} >= streamed_bytes && features % line_floats == 0 &&
           reinterpret_cast<uintptr_t>(dw) % 64 == 0;
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
