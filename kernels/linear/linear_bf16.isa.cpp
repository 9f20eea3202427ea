// "packed_pairs": the fully connected layer and its gradients with products in bf16 (AVX-512-BF16), in the shape of "packed"
// (linear_packed.isa.cpp): the same chunks, panels and tiles, two products a lane and instruction.
//   forward   pairs of features; x is rounded once a call, w chunk by chunk for all images
//   dgrad     pairs of outputs; dy is rounded once a call, w panel by panel
//   wgrad     pairs of images of one leaf, an odd one with zero; dy is rounded once a call, x panel by panel
// Every weight is still read (wgrad: written) as f32 once: for layers beyond the caches that is what remains.
#include "kernels/linear/linear_tiles.h"
#include "kernels/products.h"
#include "kernels/simd/pairs.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows linear_bf16_rows();
namespace {

constexpr int forward_outputs = 4, forward_images = 6;
constexpr int dgrad_images = 12;
constexpr int wgrad_outputs = 8;
constexpr int chunk_pairs = feature_chunk / 2;

Support supports_pairs(const Problem& p) {
    if (static_cast<const Linear*>(p.attrs)->products != DType::bf16) return refused("products");
    return both(known_attributes(p), supports(p));
}

// Dwords of a row of `count` numbers as pairs of neighbours, whole vectors.
int64_t pairs_in_row(int64_t count) { return div_up(count, 2 * vf_width) * vf_width; }

// A row as pairs of neighbours; what is missing in the last vector is zero.
void round_row(const float* from, int64_t count, uint32_t* to) {
    int64_t i = 0;
    for (; i + 2 * vf_width <= count; i += 2 * vf_width, to += vf_width)
        store_neighbours(to, vf_load(from + i), vf_load(from + i + vf_width));
    if (i == count) return;
    const auto part = [&](int64_t left) {
        return left > 0 ? vf_load(from + count - left, vm_first(static_cast<int>(left < vf_width ? left : vf_width)))
                        : vf_zero();
    };
    store_neighbours(to, part(count - i), part(count - i - vf_width));
}

void round_rows(const float* from, int64_t rows, int64_t count, uint32_t* to, const Team& team) {
    const int64_t step = pairs_in_row(count);
    const Share mine = share_of(rows, team);
    for (int64_t row = mine.begin; row < mine.end; ++row) round_row(from + row * count, count, to + row * step);
}

// ---- forward ----

struct ForwardTile {
    const uint32_t *x, *w;  // {images}{x_step}, {outputs}{chunk_pairs}
    float* y;
    int64_t x_step, outputs, length;  // length: vectors of pairs in this chunk
    bool first;                       // chunk: y is not yet written
    const float* ahead;               // as many weights that later tiles read, brought nearer meanwhile
};

template <int KT, int NT>
static void forward_tile(const ForwardTile& t) {
    VF acc[KT][NT];
    clear_sums(acc);
    for (int64_t f = 0; f < t.length * vf_width; f += vf_width) {
        __builtin_prefetch(t.ahead + 2 * f, 0, 2);
        __builtin_prefetch(t.ahead + 2 * f + line_floats, 0, 2);
        Pairs w[KT];
#pragma GCC unroll 4
        for (int k = 0; k < KT; ++k) w[k] = pairs_load(t.w + k * chunk_pairs + f);
#pragma GCC unroll 6
        for (int n = 0; n < NT; ++n) {
            const Pairs x = pairs_load(t.x + n * t.x_step + f);
#pragma GCC unroll 4
            for (int k = 0; k < KT; ++k) acc[k][n] = pairs_dot(x, w[k], acc[k][n]);
        }
    }
    store_dots(t.y, t.outputs, acc, t.first);
}

struct ForwardTiles {
    template <int KT, int NT>
    auto of() const {
        return &forward_tile<KT, NT>;
    }
};

// The workspace: x in pairs, then a chunk of forward_outputs rows of w for each thread.
void run_forward(const KernelArgs& args, const Team& team) noexcept {
    const int64_t images = args.in[0].dim[0], features = args.in[1].dim[1], outputs = args.in[1].dim[0];
    const float* w = static_cast<const float*>(args.in[1].data);
    float* y = static_cast<float*>(args.out[0].data);
    uint32_t* const x = static_cast<uint32_t*>(args.workspace);
    const int64_t x_step = pairs_in_row(features);
    uint32_t* const chunk = x + images * x_step + team.rank * forward_outputs * chunk_pairs;
    round_rows(static_cast<const float*>(args.in[0].data), images, features, x, team);
    team.barrier();
    const Share mine = share_of(div_up(outputs, forward_outputs), team);
    const int64_t k_first = mine.begin * forward_outputs, k_end = smaller(mine.end * forward_outputs, outputs);
    for (int64_t f = 0; f < features; f += feature_chunk)
        for (int64_t k = k_first; k < k_end; k += forward_outputs) {
            const int64_t length = smaller(feature_chunk, features - f), rows = smaller(outputs - k, forward_outputs);
            for (int64_t i = 0; i < rows; ++i) round_row(w + (k + i) * features + f, length, chunk + i * chunk_pairs);
            for (int64_t n = 0; n < images; n += forward_images) {
                // Each tile of images brings one row of the next outputs nearer.
                const int64_t next = k + forward_outputs + n / forward_images;
                const bool any = n / forward_images < forward_outputs && next < k_end;
                const ForwardTile tile = {x + n * x_step + f / 2,
                                          chunk,
                                          y + n * outputs + k,
                                          x_step,
                                          outputs,
                                          pairs_in_row(length) / vf_width,
                                          f == 0,
                                          w + (any ? next : k) * features + f};
                find_tile<forward_outputs, forward_images>(rows, images - n, ForwardTiles{})(tile);
            }
        }
    add_bias(args, k_first, k_end);
}

size_t forward_workspace(const Problem& p, int threads) {
    const int64_t dwords = p.in[0].dim[0] * pairs_in_row(p.in[1].dim[1]) + threads * forward_outputs * chunk_pairs;
    return static_cast<size_t>(dwords) * sizeof(uint32_t);
}

// ---- panels of features, shared by dgrad and wgrad ----

XB_INLINE VF load_numbers(const float* from, int64_t left) {
    return left >= vf_width ? vf_load(from) : left > 0 ? vf_load(from, vm_first(static_cast<int>(left))) : vf_zero();
}

// The numbers of two rows below each other as pairs, or those of one with zero: whole vectors, vector i at to + step(i).
template <class Step>
XB_INLINE void pair_rows(const float* low, const float* high, int64_t width, int vectors, uint32_t* to, Step step) {
    for (int i = 0; i < vectors; ++i) {
        const int64_t f = i * vf_width, left = width - f;
        pairs_store(to + step(i), pairs_of(load_numbers(low + f, left), high ? load_numbers(high + f, left) : vf_zero()));
    }
}

// Into a panel, tile_step dwords from tile to tile.
void pack_pair(const float* low, const float* high, int64_t width, uint32_t* to, int64_t tile_step) {
    pair_rows(low, high, width, panel_vectors, to,
              [&](int i) { return i / tile_vectors * tile_step + i % tile_vectors * vf_width; });
}

struct PanelTile {
    const uint32_t *panel, *dy;  // {pairs}{tile_width}; at the tile's first image (dgrad) or output (wgrad)
    float* out;
    int64_t dy_step;          // dgrad: of images; wgrad: of pairs
    int64_t features, width;  // row step of out; features of this tile that exist
    int64_t pairs;            // dgrad
    bool streams;             // wgrad: out is written past the caches
};

// ---- dgrad ----

template <int NT>
static void dgrad_tile(const PanelTile& t) {
    VF acc[NT][tile_vectors];
    clear_sums(acc);
    const uint32_t* w = t.panel;
    for (int64_t k = 0; k < t.pairs; ++k, w += tile_width) {
        const Pairs w0 = pairs_load(w), w1 = pairs_load(w + vf_width);
#pragma GCC unroll 12
        for (int n = 0; n < NT; ++n) {
            const Pairs gradients = pairs_set1(t.dy[n * t.dy_step + k]);
            acc[n][0] = pairs_dot(gradients, w0, acc[n][0]);
            acc[n][1] = pairs_dot(gradients, w1, acc[n][1]);
        }
    }
#pragma GCC unroll 12
    for (int n = 0; n < NT; ++n) store_tile_row(t.out + n * t.features, acc[n], t.width);
}

struct DgradTiles {
    template <int T>
    auto of() const {
        return &dgrad_tile<T>;
    }
};

// The workspace: dy in pairs of neighbouring outputs, then a panel for each thread.
void run_dgrad(const KernelArgs& args, const Team& team) noexcept {
    const int64_t images = args.in[0].dim[0], outputs = args.in[1].dim[0], features = args.in[1].dim[1];
    const int64_t pairs = div_up(outputs, 2), dy_step = pairs_in_row(outputs);
    const float* w = static_cast<const float*>(args.in[1].data);
    float* dx = static_cast<float*>(args.out[0].data);
    uint32_t* const dy = static_cast<uint32_t*>(args.workspace);
    uint32_t* const panel = dy + images * dy_step + team.rank * pairs * panel_width;
    round_rows(static_cast<const float*>(args.in[0].data), images, outputs, dy, team);
    team.barrier();
    const Share mine = share_of(div_up(features, panel_width), team);
    for (int64_t f = mine.begin * panel_width; f < smaller(mine.end * panel_width, features); f += panel_width) {
        const int64_t width = smaller(panel_width, features - f);
        for (int64_t k = 0; k < outputs; k += 2)
            pack_pair(w + k * features + f, k + 1 < outputs ? w + (k + 1) * features + f : nullptr, width,
                      panel + k / 2 * tile_width, pairs * tile_width);
        for (int64_t n = 0; n < images; n += dgrad_images)
            for (int64_t at = 0; at < width; at += tile_width) {
                const PanelTile tile = {panel + at * pairs,
                                        dy + n * dy_step,
                                        dx + n * features + f + at,
                                        dy_step,
                                        features,
                                        width - at,
                                        pairs,
                                        false};
                find_tile<dgrad_images>(images - n, DgradTiles{})(tile);
            }
    }
}

size_t dgrad_workspace(const Problem& p, int threads) {
    const int64_t images = p.in[0].dim[0], outputs = p.in[1].dim[0];
    return static_cast<size_t>(images * pairs_in_row(outputs) + threads * div_up(outputs, 2) * panel_width) *
           sizeof(uint32_t);
}

// ---- wgrad ----

template <int KT>
static void wgrad_tile(const PanelTile& t, const StepContext* step) {
    VF acc[KT][tile_vectors] = {};
    const uint32_t *x = t.panel, *dy = t.dy;
    sum_leaves<KT>(
        step, acc, [&](int32_t v, VF(&sum)[KT][tile_vectors]) __attribute__((always_inline)) {
#pragma GCC unroll 8
            for (int k = 0; k < KT; ++k)
#pragma GCC unroll 2
                for (int i = 0; i < tile_vectors; ++i) sum[k][i] = vf_zero();
            for (int32_t n = step->leaf_begin[v]; n < step->leaf_begin[v + 1]; n += 2, x += tile_width, dy += t.dy_step) {
                const Pairs x0 = pairs_load(x), x1 = pairs_load(x + vf_width);
#pragma GCC unroll 8
                for (int k = 0; k < KT; ++k) {
                    const Pairs gradients = pairs_set1(dy[k]);
                    sum[k][0] = pairs_dot(gradients, x0, sum[k][0]);
                    sum[k][1] = pairs_dot(gradients, x1, sum[k][1]);
                }
            }
        });
    store_filters<KT>(t.out, t.features, acc, t.width, t.streams);
}

struct WgradTiles {
    template <int T>
    auto of() const {
        return &wgrad_tile<T>;
    }
};

// call(pair, n, whether n + 1 belongs to it) for the pairs of images of all leaves.
template <class F>
void for_each_pair(const StepContext* step, F&& call) {
    int64_t pair = 0;
    for (int32_t v = 0; v < step->leaves; ++v)
        for (int32_t n = step->leaf_begin[v]; n < step->leaf_begin[v + 1]; n += 2)
            call(pair++, int64_t{n}, n + 1 < step->leaf_begin[v + 1]);
}

// The sums of the rounded dy {pairs}{dy_step}: its products with 1.
void sum_pairs(const KernelArgs& args, const uint32_t* dy, int64_t dy_step, const Team& team) {
    const int64_t outputs = args.out[0].dim[0];
    const Pairs ones = pairs_set1(0x3F803F80u);
    const Share mine = share_of(div_up(outputs, vf_width), team);
    for (int64_t k = mine.begin * vf_width; k < smaller(mine.end * vf_width, outputs); k += vf_width) {
        VF stack[leaf_tree_depth];
        const uint32_t* at = dy + k;
        int level = 0;
        for (int32_t v = 0; v < args.step->leaves; ++v) {
            VF sum = vf_zero();
            for (int32_t n = args.step->leaf_begin[v]; n < args.step->leaf_begin[v + 1]; n += 2, at += dy_step)
                sum = pairs_dot(pairs_load(at), ones, sum);
            stack[level++] = sum;
            for (int merges = leaf_tree_merges(v); merges > 0; --merges, --level)
                stack[level - 2] = stack[level - 2] + stack[level - 1];
        }
        for (; level > 1; --level) stack[level - 2] = stack[level - 2] + stack[level - 1];
        const int64_t left = outputs - k;
        vf_store(static_cast<float*>(args.out[1].data) + k, stack[0],
                 vm_first(static_cast<int>(left < vf_width ? left : vf_width)));
    }
}

// An odd number of images leaves one alone in its leaf.
int64_t most_pairs(int64_t images, int64_t leaves) { return (images + smaller(images, leaves)) / 2; }

// The workspace: dy in pairs of images, then a panel for each thread.
void run_wgrad(const KernelArgs& args, const Team& team) noexcept {
    const int64_t images = args.in[0].dim[0], outputs = args.out[0].dim[0], features = args.out[0].dim[1];
    const int64_t pairs = most_pairs(images, args.step->leaves);
    const float *x = static_cast<const float*>(args.in[0].data), *gradients = static_cast<const float*>(args.in[1].data);
    float* dw = static_cast<float*>(args.out[0].data);
    uint32_t* const dy = static_cast<uint32_t*>(args.workspace);
    const int64_t dy_step = div_up(outputs, vf_width) * vf_width;
    uint32_t* const panel = dy + pairs * dy_step + team.rank * pairs * panel_width;
    const Share mine_of_dy = share_of(pairs, team);
    for_each_pair(args.step, [&](int64_t pair, int64_t n, bool both) {
        const float* const low = gradients + n * outputs;
        if (pair >= mine_of_dy.begin && pair < mine_of_dy.end)
            pair_rows(low, both ? low + outputs : nullptr, outputs, static_cast<int>(dy_step / vf_width),
                      dy + pair * dy_step, [](int i) { return i * vf_width; });
    });
    team.barrier();
    const bool past = streams(dw, outputs, features);
    const Share mine = share_of(div_up(features, panel_width), team);
    for (int64_t f = mine.begin * panel_width; f < smaller(mine.end * panel_width, features); f += panel_width) {
        const int64_t width = smaller(panel_width, features - f);
        for_each_pair(args.step, [&](int64_t pair, int64_t n, bool both) {
            const float* const low = x + n * features + f;
            pack_pair(low, both ? low + features : nullptr, width, panel + pair * tile_width, pairs * tile_width);
        });
        for (int64_t k = 0; k < outputs; k += wgrad_outputs)
            for (int64_t at = 0; at < width; at += tile_width) {
                const PanelTile tile = {
                    panel + at * pairs, dy + k, dw + k * features + f + at, dy_step, features, width - at, pairs, past};
                find_tile<wgrad_outputs>(outputs - k, WgradTiles{})(tile, args.step);
            }
    }
    if (past) end_of_streams();
    if (has_operand(args.out, args.n_out, 1)) sum_pairs(args, dy, dy_step, team);
}

size_t wgrad_workspace(const Problem& p, int threads) {
    const int64_t pairs = most_pairs(p.in[0].dim[0], p.leaves);
    const int64_t dy_step = div_up(p.out[0].dim[0], vf_width) * vf_width;
    return static_cast<size_t>(pairs * (dy_step + threads * panel_width)) * sizeof(uint32_t);
}

const Kernel rows[] = {
    {OpKind::linear, "packed_pairs", this_isa, supports_pairs, forward_workspace, run_forward},
    {OpKind::linear_dgrad, "packed_pairs", this_isa, supports_pairs, dgrad_workspace, run_dgrad},
    {OpKind::linear_wgrad, "packed_pairs", this_isa, supports_pairs, wgrad_workspace, run_wgrad},
};

}  // namespace

KernelRows linear_bf16_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
