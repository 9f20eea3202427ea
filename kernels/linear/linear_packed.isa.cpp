// "packed": the fully connected layer and its gradients, f32, x{n,f} w{k,f} y{n,k}, for a few to a few hundred images and up
// to 100,000 features. Bound by reading (wgrad: writing) the weights, which every pass does once.
//   forward   dot products, 4 outputs x 6 images in registers (AVX-512); features in chunks, so that the weights of a tile
//             stay in the first-level cache for all images, and the next tile's come nearer meanwhile. Chunks do not depend
//             on the batch: same bits for any split.
//   dgrad     2 vectors of features x 12 images; outputs k in ascending order
//   wgrad     2 vectors of features x 8 outputs; images in ascending order, leaves in a tree
// dgrad and wgrad copy a panel of 8 vectors of features of w (or x) side by side: rows of w are often a large power of two
// apart and would evict each other.
#include "kernels/linear/linear_tiles.h"
#include "kernels/simd/rounded.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows linear_packed_rows();
namespace {

constexpr int forward_outputs = 4, forward_images = vf_registers == 32 ? 6 : 3;
constexpr int dgrad_images = vf_registers == 32 ? 12 : 6;
constexpr int wgrad_outputs = vf_registers == 32 ? 8 : 4;

// ---- forward ----

struct ForwardTile {
    const float *x, *w;
    float* y;
    int64_t features, row_step, outputs;  // steps of x, of w, of y
    int64_t length;                       // features of this chunk
    bool first;                           // chunk: y is not yet written
    const float* ahead;                   // as many weights that later tiles read, brought nearer meanwhile
};

template <int KT, int NT, bool masked>
XB_INLINE void multiply_chunk(const ForwardTile& t, int64_t f, VM mask, VF (&acc)[KT][NT]) {
    __builtin_prefetch(t.ahead + f, 0, 2);
    VF w[KT];
#pragma GCC unroll 4
    for (int k = 0; k < KT; ++k) w[k] = masked ? vf_load(t.w + k * t.row_step + f, mask) : vf_load(t.w + k * t.row_step + f);
#pragma GCC unroll 6
    for (int n = 0; n < NT; ++n) {
        const VF x = masked ? vf_load(t.x + n * t.features + f, mask) : vf_load(t.x + n * t.features + f);
#pragma GCC unroll 4
        for (int k = 0; k < KT; ++k) acc[k][n] = vf_fma(x, w[k], acc[k][n]);
    }
}

template <int KT, int NT>
static void forward_tile(const ForwardTile& t) {
    VF acc[KT][NT];
    clear_sums(acc);
    int64_t f = 0;
    for (; f + vf_width <= t.length; f += vf_width) multiply_chunk<KT, NT, false>(t, f, vm_first(vf_width), acc);
    if (f < t.length) multiply_chunk<KT, NT, true>(t, f, vm_first(static_cast<int>(t.length - f)), acc);
    store_dots(t.y, t.outputs, acc, t.first);
}

struct ForwardTiles {
    template <int KT, int NT>
    auto of() const {
        return &forward_tile<KT, NT>;
    }
};

// rounded: w to bf16, each tile's chunk on its own, which the caches then hold for all images.
template <bool rounded>
void run_forward(const KernelArgs& args, const Team& team) noexcept {
    const int64_t images = args.in[0].dim[0], features = args.in[1].dim[1], outputs = args.in[1].dim[0];
    const int64_t row_step = rounded ? feature_chunk : features;
    const float *x = static_cast<const float*>(args.in[0].data), *w = static_cast<const float*>(args.in[1].data);
    float* y = static_cast<float*>(args.out[0].data);
    const auto prepare = [&](int64_t k, int64_t rows, int64_t f, int64_t length) -> const float* {
        const float* from = w + k * features + f;
        if constexpr (!rounded) return from;
        float* chunk = static_cast<float*>(args.workspace) + team.rank * forward_outputs * feature_chunk;
        for (int64_t i = 0; i < rows; ++i) round_row(from + i * features, chunk + i * feature_chunk, length);
        return chunk;
    };
    work_on_chunks<forward_outputs, forward_images>(
        args, team, prepare, [&](int64_t n, int64_t k, int64_t f, int64_t length, const float* weights, const float* ahead) {
            const ForwardTile tile = {
                x + n * features + f, weights, y + n * outputs + k, features, row_step, outputs, length, f == 0, ahead};
            find_tile<forward_outputs, forward_images>(outputs - k, images - n, ForwardTiles{})(tile);
        });
}

// ---- panels of features, shared by dgrad and wgrad ----

// Copies `width` features of each row side by side, tile by tile: {tile}{row}{tile_width}; what is missing is zero. rounded:
// to bf16.
template <bool rounded>
void pack_panel(const float* from, int64_t rows, int64_t row_step, int64_t width, float* panel) {
    for (int64_t row = 0; row < rows; ++row, from += row_step)
        for (int64_t f = 0; f < panel_width; f += vf_width) {
            const int64_t left = width - f;
            const VF v = left >= vf_width ? vf_load(from + f)
                         : left > 0       ? vf_load(from + f, vm_first(static_cast<int>(left)))
                                          : vf_zero();
            vf_store(panel + (f / tile_width * rows + row) * tile_width + f % tile_width, rounded ? round_to_bf16(v) : v);
        }
}

// ---- dgrad ----

template <bool rounded>
void run_dgrad(const KernelArgs& args, const Team& team) noexcept {
    const int64_t images = args.in[0].dim[0], outputs = args.in[1].dim[0], features = args.in[1].dim[1];
    const float *dy = static_cast<const float*>(args.in[0].data), *w = static_cast<const float*>(args.in[1].data);
    float* dx = static_cast<float*>(args.out[0].data);
    float* panel = static_cast<float*>(args.workspace) + team.rank * outputs * panel_width;
    const PanelWork<Floats> work = {dy, panel, dx, images, outputs, outputs, features, outputs, false};
    work_on_panels<dgrad_images>(work, DgradTiles<Floats>{}, args.step, team, [&](int64_t f, int64_t width) {
        pack_panel<rounded>(w + f, outputs, features, width, panel);
    });
}

size_t dgrad_workspace(const Problem& p, int threads) {
    return static_cast<size_t>(threads * p.in[1].dim[0] * panel_width) * sizeof(float);
}

// ---- wgrad ----

void bias_gradient(const KernelArgs& args, const Team& team) {
    const int64_t outputs = args.out[0].dim[0];
    const float* dy = static_cast<const float*>(args.in[1].data);
    const Share mine = share_of(outputs, team);
    for (int64_t k = mine.begin; k < mine.end; ++k)
        static_cast<float*>(args.out[1].data)[k] = leaf_tree_sum<float>(*args.step, [&](int32_t v) {
            float sum = 0;
            for (int64_t n = args.step->leaf_begin[v]; n < args.step->leaf_begin[v + 1]; ++n) sum += dy[n * outputs + k];
            return sum;
        });
}

template <bool rounded>
void run_wgrad(const KernelArgs& args, const Team& team) noexcept {
    const int64_t images = args.in[0].dim[0], outputs = args.out[0].dim[0], features = args.out[0].dim[1];
    const float *x = static_cast<const float*>(args.in[0].data), *dy = static_cast<const float*>(args.in[1].data);
    float* dw = static_cast<float*>(args.out[0].data);
    float* panel = static_cast<float*>(args.workspace) + team.rank * images * panel_width;
    const bool past = streams(dw, outputs, features);
    const PanelWork<Floats> work = {dy, panel, dw, outputs, 1, outputs, features, images, past};
    work_on_panels<wgrad_outputs>(work, WgradTiles<Floats>{}, args.step, team, [&](int64_t f, int64_t width) {
        pack_panel<rounded>(x + f, images, features, width, panel);
    });
    if (past) end_of_streams();
    if (has_operand(args.out, args.n_out, 1)) bias_gradient(args, team);
}

size_t wgrad_workspace(const Problem& p, int threads) {
    return static_cast<size_t>(threads * p.in[0].dim[0] * panel_width) * sizeof(float);
}

size_t chunk_workspace(const Problem&, int threads) {
    return static_cast<size_t>(threads * forward_outputs * feature_chunk) * sizeof(float);
}

// Of the rounded rows the operand of the images is rounded in the workspace, the weights (wgrad: x) where they are packed.
const Kernel rows[] = {
    {OpKind::linear, "packed", this_isa, in_f32<supports>, nullptr, run_forward<false>},
    {OpKind::linear_dgrad, "packed", this_isa, in_f32<supports>, dgrad_workspace, run_dgrad<false>},
    {OpKind::linear_wgrad, "packed", this_isa, in_f32<supports>, wgrad_workspace, run_wgrad<false>},
    {OpKind::linear, "packed_rounded", this_isa, in_bf16<supports>, rounded_workspace<chunk_workspace, 0, 1>,
     run_rounded<run_forward<true>, 0, 1>},
    {OpKind::linear_dgrad, "packed_rounded", this_isa, in_bf16<supports>, rounded_workspace<dgrad_workspace, 0, 1>,
     run_rounded<run_dgrad<true>, 0, 1>},
    {OpKind::linear_wgrad, "packed_rounded", this_isa, in_bf16<supports>, rounded_workspace<wgrad_workspace, 1, 1>,
     run_rounded<run_wgrad<true>, 1, 1>},
};

}  // namespace

KernelRows linear_packed_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
