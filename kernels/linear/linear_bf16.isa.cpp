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

struct BfloatPairs {
    typedef uint32_t Element;
    static __attribute__((always_inline)) Pairs load(const uint32_t* p) { return pairs_load(p); }
    static __attribute__((always_inline)) Pairs set1(uint32_t pair) { return pairs_set1(pair); }
    static __attribute__((always_inline)) VF multiply_add(Pairs a, Pairs b, VF sum) { return pairs_dot(a, b, sum); }
    static __attribute__((always_inline)) int64_t count(int64_t n) { return div_up(n, 2); }
};

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
    const auto prepare = [&](int64_t k, int64_t rows, int64_t f, int64_t length) {
        for (int64_t i = 0; i < rows; ++i) round_row(w + (k + i) * features + f, length, chunk + i * chunk_pairs);
        return chunk;
    };
    work_on_chunks<forward_outputs, forward_images>(
        args, team, prepare,
        [&](int64_t n, int64_t k, int64_t f, int64_t length, const uint32_t* weights, const float* ahead) {
            const ForwardTile tile = {x + n * x_step + f / 2,
                                      weights,
                                      y + n * outputs + k,
                                      x_step,
                                      outputs,
                                      pairs_in_row(length) / vf_width,
                                      f == 0,
                                      ahead};
            find_tile<forward_outputs, forward_images>(outputs - k, images - n, ForwardTiles{})(tile);
        });
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

// ---- dgrad ----

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
    const PanelWork<BfloatPairs> work = {dy, panel, dx, images, dy_step, dy_step, features, pairs, false};
    work_on_panels<dgrad_images>(work, DgradTiles<BfloatPairs>{}, args.step, team, [&](int64_t f, int64_t width) {
        for (int64_t k = 0; k < outputs; k += 2)
            pack_pair(w + k * features + f, k + 1 < outputs ? w + (k + 1) * features + f : nullptr, width,
                      panel + k / 2 * tile_width, pairs * tile_width);
    });
}

size_t dgrad_workspace(const Problem& p, int threads) {
    const int64_t images = p.in[0].dim[0], outputs = p.in[1].dim[0];
    return static_cast<size_t>(images * pairs_in_row(outputs) + threads * div_up(outputs, 2) * panel_width) *
           sizeof(uint32_t);
}

// ---- wgrad ----

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
        const uint32_t* at = dy + k;
        const VF total = leaf_tree_sum<VF>(*args.step, [&](int32_t v) {
            VF sum = vf_zero();
            for (int32_t n = args.step->leaf_begin[v]; n < args.step->leaf_begin[v + 1]; n += 2, at += dy_step)
                sum = pairs_dot(pairs_load(at), ones, sum);
            return sum;
        });
        const int64_t left = outputs - k;
        vf_store(static_cast<float*>(args.out[1].data) + k, total,
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
    const PanelWork<BfloatPairs> work = {dy, panel, dw, outputs, 1, dy_step, features, pairs, past};
    work_on_panels<wgrad_outputs>(work, WgradTiles<BfloatPairs>{}, args.step, team, [&](int64_t f, int64_t width) {
        for_each_pair(args.step, [&](int64_t pair, int64_t n, bool both) {
            const float* const low = x + n * features + f;
            pack_pair(low, both ? low + features : nullptr, width, panel + pair * tile_width, pairs * tile_width);
        });
    });
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
