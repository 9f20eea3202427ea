// "winograd43" and "winograd23": 3x3 convolutions of stride 1 and their gradients over nchw16c activations, f32, one group,
// by Winograd's F(4x4, 3x3) and F(2x2, 3x3): 36 products a tile and pair of channels instead of 144, or 16 instead of 36.
//   forward, dgrad   winograd_forward.h; transforms the filters into the workspace before
//   wgrad            winograd_wgrad.h
// Bound by the multiply-add units in the products (85 to 95% of the peak, about 2/3 of the time), by loads, stores and
// copies at the borders in the transforms.
// Rounding errors are larger than those of a direct sum: see growth43.
// Measured on one core (EPYC of family 25, avx512, us; forward, dgrad, wgrad), direct_blocked -> winograd43:
//   cifar     32->32  @32 batch 2     333 -> 130    331 -> 126    324 -> 136
//   nih       32->64  @112 batch 16, avx2:  73002 -> 24497, 69124 -> 24595, 110847 -> 32831
//   ResNet    64->64  @56 batch 4    7999 -> 2655   8022 -> 2702  8243 -> 3033
//   ResNet   256->256 @14            8232 -> 4038   8824 -> 3994  8198 -> 6479 (leaves of one image)
// and on an Intel Xeon (2 MiB of second-level cache), all filters transformed first -> group by group:
//   ResNet   256->256 @14            3480 -> 2980   3400 -> 2890
//   ResNet   512->512 @7            12110 -> 3660  11260 -> 3700; batch 32: 40800 -> 22100, 39100 -> 23200
#include "kernels/conv2d/winograd/winograd_groups.h"
#include "kernels/conv2d/winograd/winograd_wgrad.h"
#include "kernels/simd/rounded.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows winograd_rows();
namespace {

const Conv2d& conv_of(const Problem& problem) { return *static_cast<const Conv2d*>(problem.attrs); }

Support supports(const Problem& p) { return winograd_supports(conv_of(p), p.in[0], p.out[0]); }
Support wgrad_supports(const Problem& p) { return winograd_supports(conv_of(p), p.in[0], p.in[1]); }

template <class F>
size_t workspace(const Problem& p, int threads) {
    return static_cast<size_t>(winograd_floats<F>(p.out[0].dim[1], p.in[0].dim[1], threads)) * sizeof(float);
}

template <class F>
void run_forward(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    const float* bias = has_operand(args.in, args.n_in, 2) ? static_cast<const float*>(args.in[2].data) : nullptr;
    winograd_images<F>(blocks_of(args.in[0]), blocks_of(args.out[0]), forward_filters(args.in[1]), false, bias, conv.pad_h,
                       conv.pad_w, conv.activation == Activation::relu, static_cast<float*>(args.workspace), team);
}

// The convolution of dy with the filters turned by 180 degrees.
template <class F>
void run_dgrad(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    winograd_images<F>(blocks_of(args.in[0]), blocks_of(args.out[0]), dgrad_filters(args.in[1]), true, nullptr,
                       2 - conv.pad_h, 2 - conv.pad_w, false, static_cast<float*>(args.workspace), team);
}

// Sizes in floats of the parts of the workspace of wgrad: `spaces` for the threads' leaves, then `partials` gradients.
struct WgradSpace {
    int64_t inputs, gradients, tile_sums, sums, partial;
    int64_t spaces, partials;
    bool own_leaves;  // of each thread
    int64_t each() const { return inputs + gradients + tile_sums + sums; }
    int64_t floats() const { return spaces * each() + partials * partial; }
};

// Leaves of their own cost each thread a space and the tree a partial gradient for each leaf.
constexpr int64_t most_own_bytes = int64_t{64} << 20;

template <class F>
WgradSpace wgrad_space(const Problem& p, int threads) {
    const int64_t c = p.in[0].dim[1], k = p.in[1].dim[1], k_blocks = div_up(k, block);
    const int64_t points = F::n * F::n, tiles = gradient_batch<F>(c, k);
    const int64_t cells = wgrad_chunks(c) * div_up(k_blocks * block, group_width);
    int64_t levels = 2;
    for (int64_t leaves = p.leaves; leaves > 1; leaves /= 2) ++levels;
    WgradSpace space{div_up(c, block) * points * tiles * block,
                     k_blocks * points * tiles * block,
                     k_blocks * tiles * block,
                     div_up(points * cells * sums_step, block) * block,
                     cells * 9 * wgrad_cell + k_blocks * block,
                     threads,
                     p.leaves,
                     true};
    if (threads > 1 && p.leaves >= threads && space.floats() * int64_t{sizeof(float)} <= most_own_bytes) return space;
    space.spaces = 1, space.partials = levels, space.own_leaves = false;
    return space;
}

template <class F>
size_t wgrad_workspace(const Problem& p, int threads) {
    int64_t most = 0;  // a team may turn out smaller than planned
    for (int size = 1; size <= threads; ++size) {
        const int64_t floats = wgrad_space<F>(p, size).floats();
        if (floats > most) most = floats;
    }
    return static_cast<size_t>(most) * sizeof(float);
}

template <class F>
void run_wgrad(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    const WgradSpace space = wgrad_space<F>(args, team.size);
    float* base = static_cast<float*>(args.workspace);
    float* inputs = base + (space.own_leaves ? team.rank * space.each() : 0);
    float *gradients = inputs + space.inputs, *tile_sums = gradients + space.gradients;
    const Blocks x = blocks_of(args.in[0]), dy = blocks_of(args.in[1]);
    float* db = has_operand(args.out, args.n_out, 1) ? static_cast<float*>(args.out[1].data) : nullptr;
    const WinogradGradient job = {x,
                                  dy,
                                  conv.pad_h,
                                  conv.pad_w,
                                  tile_grid<F>(dy),
                                  gradient_batch<F>(x.c, dy.c),
                                  wgrad_chunks(x.c),
                                  winograd_groups(dy.c),
                                  {inputs, gradients, tile_sums, tile_sums + space.tile_sums},
                                  base + space.spaces * space.each(),
                                  args.step,
                                  static_cast<float*>(args.out[0].data),
                                  db};
    space.own_leaves ? share_leaves<F>(job, team) : share_each_leaf<F>(job, team);
    write_gradient(job, team);
}

bool wins(const Problem& p) { return winograd_pays(p.in[0].dim[1], p.out[0].dim[1], p.out[0].dim[2], p.out[0].dim[3]); }
// winograd23 is chosen for no forward pass and dgrad: of 256 channels at 14x14 it took 1.3 times as long as winograd43, of
// 512 at 7x7 1.4 times (one core of a Zen 3, AVX2).
bool never(const Problem&) { return false; }

// Besides, each leaf's sums become a gradient: an image, of which a leaf may have only one, must have enough tiles to pay
// for that, and for more when the sums do not fit the caches (512x512 channels at 7x7 take 2 to 4 times as long as direct).
// With AVX2 and 512 KiB of second-level cache (Zen 3) many channels on few tiles: x oneDNN 2.6, 256 channels at 14x14 take
// winograd43 1.3, winograd23 1.7. Portable rows answer as those of AVX2, or they would be chosen where these step back.
template <class F>
bool wgrad_wins(const Problem& p) {
    const int64_t c = p.in[0].dim[1], k = p.in[1].dim[1], h = p.in[1].dim[2], w = p.in[1].dim[3];
    const int64_t tiles = div_up(h, F43::m) * div_up(w, F43::m);
    const bool many_on_few = this_isa < Isa::avx512 && tiles <= 16 && c * k >= 256 * 256;
    constexpr bool is_f43 = int{F::m} == int{F43::m};
    if (is_f43 == many_on_few || (many_on_few && c * k >= 512 * 512)) return false;
    return winograd_pays(c, k, h, w) && c * k >= 5 * (c + k) && tiles >= (c * k <= 128 * 128 ? 4 : 9);
}

const Kernel rows[] = {
    {OpKind::conv2d, "winograd43", this_isa, in_f32<supports>, workspace<F43>, run_forward<F43>, growth43, wins},
    {OpKind::conv2d_dgrad, "winograd43", this_isa, in_f32<supports>, workspace<F43>, run_dgrad<F43>, growth43, wins},
    {OpKind::conv2d_wgrad, "winograd43", this_isa, in_f32<wgrad_supports>, wgrad_workspace<F43>, run_wgrad<F43>, growth43,
     wgrad_wins<F43>},
    {OpKind::conv2d, "winograd23", this_isa, in_f32<supports>, workspace<F23>, run_forward<F23>, growth23, never},
    {OpKind::conv2d_dgrad, "winograd23", this_isa, in_f32<supports>, workspace<F23>, run_dgrad<F23>, growth23, never},
    {OpKind::conv2d_wgrad, "winograd23", this_isa, in_f32<wgrad_supports>, wgrad_workspace<F23>, run_wgrad<F23>, growth23,
     wgrad_wins<F23>},
    {OpKind::conv2d, "winograd43_rounded", this_isa, in_bf16<supports>, rounded_workspace<workspace<F43>>,
     run_rounded<run_forward<F43>>, growth43, wins},
    {OpKind::conv2d_dgrad, "winograd43_rounded", this_isa, in_bf16<supports>, rounded_workspace<workspace<F43>>,
     run_rounded<run_dgrad<F43>>, growth43, wins},
    {OpKind::conv2d_wgrad, "winograd43_rounded", this_isa, in_bf16<wgrad_supports>, rounded_workspace<wgrad_workspace<F43>>,
     run_rounded<run_wgrad<F43>>, growth43, wgrad_wins<F43>},
};

}  // namespace

KernelRows winograd_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
