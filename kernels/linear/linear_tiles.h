// What the linear layers' files share: x{n,f} w{k,f} y{n,k}. Of the instruction set that includes it.
#pragma once

#include "kernels/kernel.h"
#include "kernels/simd/leaf_sum.h"

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

// ---- gradients: panels of features, copied side by side ----

// N: how the numbers of a tile lie and multiply, floats or pairs of bf16. It has Element, load, set1, multiply_add, and
// count(n), elements for n of the numbers that are summed over.
struct Floats {
    typedef float Element;
    static __attribute__((always_inline)) VF load(const float* p) { return vf_load(p); }
    static __attribute__((always_inline)) VF set1(float v) { return vf_set1(v); }
    static __attribute__((always_inline)) VF multiply_add(VF a, VF b, VF sum) { return vf_fma(a, b, sum); }
    static __attribute__((always_inline)) int64_t count(int64_t n) { return n; }
};

template <class N>
struct PanelTile {
    const typename N::Element *panel, *dy;  // {count}{tile_width}; at the tile's first image (dgrad) or output (wgrad)
    float* out;
    int64_t dy_step;          // dgrad: of images; wgrad: of what is summed over
    int64_t features, width;  // row step of out; features of this tile that exist
    int64_t count;            // of dgrad's sums
    bool streams;             // wgrad: out is written past the caches
};

// acc[i] += panel dy[i * step].
template <class N, int T>
XB_INLINE void add_panel_row(const typename N::Element* panel, const typename N::Element* dy, int64_t step,
                             VF (&acc)[T][tile_vectors]) {
    const auto low = N::load(panel), high = N::load(panel + vf_width);
#pragma GCC unroll 12
    for (int i = 0; i < T; ++i) {
        const auto gradient = N::set1(dy[i * step]);
        acc[i][0] = N::multiply_add(gradient, low, acc[i][0]);
        acc[i][1] = N::multiply_add(gradient, high, acc[i][1]);
    }
}

template <class N, int NT>
static void dgrad_tile(const PanelTile<N>& t, const StepContext*) {
    VF acc[NT][tile_vectors];
    clear_sums(acc);
    const auto* w = t.panel;
    for (int64_t k = 0; k < t.count; ++k, w += tile_width) add_panel_row<N>(w, t.dy + k, t.dy_step, acc);
#pragma GCC unroll 12
    for (int n = 0; n < NT; ++n) store_tile_row(t.out + n * t.features, acc[n], t.width);
}

template <class N, int KT>
static void wgrad_tile(const PanelTile<N>& t, const StepContext* step) {
    VF acc[KT][tile_vectors] = {};
    const auto *x = t.panel, *dy = t.dy;
    sum_leaves<KT>(
        step, acc, [&](int32_t v, VF(&sum)[KT][tile_vectors]) __attribute__((always_inline)) {
            clear_sums(sum);
            const int64_t images = step->leaf_begin[v + 1] - step->leaf_begin[v];
            for (int64_t left = N::count(images); left > 0; --left, x += tile_width, dy += t.dy_step)
                add_panel_row<N>(x, dy, 1, sum);
        });
    store_filters<KT>(t.out, t.features, acc, t.width, t.streams);
}

template <class N>
struct DgradTiles {
    template <int T>
    auto of() const {
        return &dgrad_tile<N, T>;
    }
};
template <class N>
struct WgradTiles {
    template <int T>
    auto of() const {
        return &wgrad_tile<N, T>;
    }
};

// What a gradient's tiles are cut from.
template <class N>
struct PanelWork {
    const typename N::Element* dy;
    typename N::Element* panel;  // this thread's, {count}{panel_width}
    float* out;
    int64_t rows, row_step;  // of out: images (dgrad) or outputs (wgrad), and dy's step between them
    int64_t dy_step, features, count;
    bool streams;
};

// Each thread takes some panels of the features: pack(f, width) fills its own, then come the tiles, up to `most` rows each.
template <int most, class N, class Tiles, class Pack>
XB_INLINE void work_on_panels(const PanelWork<N>& work, const Tiles& tiles, const StepContext* step, const Team& team,
                              const Pack& pack) {
    const Share mine = share_of(div_up(work.features, panel_width), team);
    for (int64_t f = mine.begin * panel_width; f < smaller(mine.end * panel_width, work.features); f += panel_width) {
        const int64_t width = smaller(panel_width, work.features - f);
        pack(f, width);
        for (int64_t row = 0; row < work.rows; row += most)
            for (int64_t at = 0; at < width; at += tile_width) {
                const PanelTile<N> tile = {work.panel + at * work.count,
                                           work.dy + row * work.row_step,
                                           work.out + row * work.features + f + at,
                                           work.dy_step,
                                           work.features,
                                           width - at,
                                           work.count,
                                           work.streams};
                find_tile<most>(work.rows - row, tiles)(tile, step);
            }
    }
}

// ---- forward ----

// A chunk of features after the other, and in it tiles of `outputs_of_tile` outputs: prepare(k, rows, f, length) returns
// where the tile's weights lie; then multiply(n, k, f, length, weights, ahead) for its images. `ahead` is a row of weights
// that later tiles read: each tile of images brings one of the next outputs nearer.
template <int outputs_of_tile, int images_of_tile, class Prepare, class Multiply>
XB_INLINE void work_on_chunks(const KernelArgs& args, const Team& team, const Prepare& prepare, const Multiply& multiply) {
    const int64_t images = args.in[0].dim[0], features = args.in[1].dim[1], outputs = args.in[1].dim[0];
    const float* w = static_cast<const float*>(args.in[1].data);
    const Share mine = share_of(div_up(outputs, outputs_of_tile), team);
    const int64_t k_first = mine.begin * outputs_of_tile, k_end = smaller(mine.end * outputs_of_tile, outputs);
    for (int64_t f = 0; f < features; f += feature_chunk)
        for (int64_t k = k_first; k < k_end; k += outputs_of_tile) {
            const int64_t length = smaller(feature_chunk, features - f);
            const auto* const weights = prepare(k, smaller(outputs - k, outputs_of_tile), f, length);
            for (int64_t n = 0; n < images; n += images_of_tile) {
                const int64_t next = k + outputs_of_tile + n / images_of_tile;
                const bool any = n / images_of_tile < outputs_of_tile && next < k_end;
                multiply(n, k, f, length, weights, w + (any ? next : k) * features + f);
            }
        }
    add_bias(args, k_first, k_end);
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
