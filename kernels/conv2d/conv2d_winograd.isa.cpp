// "winograd43" and "winograd23": 3x3 convolutions of stride 1 and their gradients over nchw16c activations, f32, one group,
// by Winograd's F(4x4, 3x3) and F(2x2, 3x3): 36 products a tile and pair of channels instead of 144, or 16 instead of 36.
//   forward, dgrad   winograd_forward.h; transforms the filters into the workspace before
//   wgrad            winograd_wgrad.h
// Bound by the multiply-add units in the products (85 to 95% of the peak, about 2/3 of the time), by loads, stores and
// copies at the borders in the transforms. Images of few pixels pay for the transform of the filters (ResNet-50's 512@7).
// Rounding errors are larger than those of a direct sum: see error_growth below.
// Measured on one core (EPYC of family 25, avx512, us; forward, dgrad, wgrad), direct_blocked -> winograd43:
//   cifar     32->32  @32 batch 2     333 -> 130    331 -> 126    324 -> 136
//   nih       32->64  @112 batch 16, avx2:  73002 -> 24497, 69124 -> 24595, 110847 -> 32831
//   ResNet    64->64  @56 batch 4    7999 -> 2655   8022 -> 2702  8243 -> 3033
//   ResNet   256->256 @14            8232 -> 4038   8824 -> 3994  8198 -> 6479 (leaves of one image)
//   ResNet   512->512 @7            11083 -> 7243  12201 -> 6492  not chosen
#include "kernels/conv2d/winograd_forward.h"
#include "kernels/conv2d/winograd_wgrad.h"
#include "kernels/rounded.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows conv2d_winograd_rows();
namespace {

const Conv2d& conv_of(const Problem& problem) { return *static_cast<const Conv2d*>(problem.attrs); }

bool is_blocked(const KernelTensor& t) { return is_dense_f32(t, Layout::nchw16c); }

bool supports_attributes(const Problem& p) {
    const Conv2d& conv = conv_of(p);
    return conv.groups == 1 && conv.r == 3 && conv.s == 3 && conv.stride_h == 1 && conv.stride_w == 1 &&
           conv.dilation_h == 1 && conv.dilation_w == 1 && conv.pad_h <= 2 && conv.pad_w <= 2;
}
bool supports(const Problem& p) { return supports_attributes(p) && is_blocked(p.in[0]) && is_blocked(p.out[0]); }
bool wgrad_supports(const Problem& p) { return supports_attributes(p) && is_blocked(p.in[0]) && is_blocked(p.in[1]); }

// The workspace of forward and dgrad: the padded bias, the transformed filters, for each thread its inputs and products.
template <class F>
size_t workspace(const Problem& p, int threads) {
    const int64_t outs = p.out[0].dim[1], ins = p.in[0].dim[1];
    return static_cast<size_t>(padded_bias_size(outs) + transformed_filters_size<F>(outs, ins) +
                               threads * (unit_inputs_size<F>(ins) + unit_products_size<F>())) *
           sizeof(float);
}

// pad: of the convolution that is computed, which for dgrad is another one.
template <class F>
void convolve(const KernelArgs& args, const FilterView& filters, bool turned, int32_t pad_h, int32_t pad_w, bool relu,
              const Team& team) {
    float* bias = static_cast<float*>(args.workspace);
    float* transformed = bias + padded_bias_size(filters.outs);
    float* mine = transformed + transformed_filters_size<F>(filters.outs, filters.ins) +
                  team.rank * (unit_inputs_size<F>(filters.ins) + unit_products_size<F>());
    const Blocks out = blocks_of(args.out[0]);
    const WinogradJob job = {blocks_of(args.in[0]), out,  pad_h, pad_w, tile_grid<F>(out),
                             transformed,           bias, relu,  mine,  mine + unit_inputs_size<F>(filters.ins)};
    const float* given =
        !turned && has_operand(args.in, args.n_in, 2) ? static_cast<const float*>(args.in[2].data) : nullptr;
    if (team.rank == 0)
        for (int64_t k = 0; k < padded_bias_size(filters.outs); ++k) bias[k] = given && k < filters.outs ? given[k] : 0.0f;
    transform_filters<F>(filters, turned, transformed, team);
    team.barrier();
    winograd_convolution<F>(job, team);
}

template <class F>
void run_forward(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    convolve<F>(args, forward_filters(args.in[1]), false, conv.pad_h, conv.pad_w, conv.activation == Activation::relu, team);
}

// The convolution of dy with the filters turned by 180 degrees.
template <class F>
void run_dgrad(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    convolve<F>(args, dgrad_filters(args.in[1]), true, 2 - conv.pad_h, 2 - conv.pad_w, false, team);
}

// Sizes in floats of the parts of the workspace of wgrad.
struct WgradSpace {
    int64_t inputs, gradients, sums, partial;
};

template <class F>
WgradSpace wgrad_space(const Problem& p) {
    const int64_t c = p.in[0].dim[1], k = p.in[1].dim[1];
    const int64_t points = F::n * F::n, tiles = gradient_batch<F>(c, k);
    const int64_t cells = wgrad_chunks(c) * div_up(div_up(k, block) * block, group_width);
    int64_t levels = 2;
    for (int64_t leaves = p.leaves; leaves > 1; leaves /= 2) ++levels;
    return WgradSpace{div_up(c, block) * points * tiles * block, div_up(k, block) * points * tiles * block,
                      points * cells * sums_step, levels * cells * 9 * wgrad_cell};
}

template <class F>
size_t wgrad_workspace(const Problem& p, int) {
    const WgradSpace space = wgrad_space<F>(p);
    return static_cast<size_t>(space.inputs + space.gradients + space.sums + space.partial) * sizeof(float);
}

template <class F>
void run_wgrad(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    const WgradSpace space = wgrad_space<F>(args);
    float* inputs = static_cast<float*>(args.workspace);
    float *gradients = inputs + space.inputs, *sums = gradients + space.gradients;
    const Blocks x = blocks_of(args.in[0]), dy = blocks_of(args.in[1]);
    const WinogradGradient job = {x,
                                  dy,
                                  conv.pad_h,
                                  conv.pad_w,
                                  tile_grid<F>(dy),
                                  gradient_batch<F>(x.c, dy.c),
                                  wgrad_chunks(x.c),
                                  div_up(div_up(dy.c, block) * block, group_width),
                                  inputs,
                                  gradients,
                                  sums,
                                  sums + space.sums,
                                  args.step,
                                  static_cast<float*>(args.out[0].data)};
    winograd_wgrad<F>(job, team);
    if (has_operand(args.out, args.n_out, 1)) bias_wgrad(dy, *args.step, static_cast<float*>(args.out[1].data), team);
}

// The largest error in the tests is 28 eps of sum |a||b| for winograd43 (portable, without fused multiply-adds) and 3 for
// winograd23, where 8 are allowed to a direct sum; with a margin below two.
constexpr double growth43 = 6, growth23 = 0.75;

// With few channels the transforms take longer than the products that they save, and so do tiles that are mostly outside.
bool worthwhile(int64_t c, int64_t k, const KernelTensor& tiled) {
    const int64_t tiles = div_up(tiled.dim[2], F43::m) * div_up(tiled.dim[3], F43::m);
    return c >= 8 && k >= 8 && tiled.dim[2] * tiled.dim[3] * 2 >= tiles * F43::m * F43::m;
}

// With AVX2 and 512 KiB of second-level cache (Zen 3), many channels on few tiles: winograd43's transformed inputs of a unit
// (4 KiB a channel) and its filters (4 times the untransformed ones) leave the caches. 256 channels at 14x14, x oneDNN 2.6:
// winograd43 1.2 to 1.4, winograd23 1.5, its wgrad 0.9 and 1.4; 512 at 7x7: 0.8, 0.8 and direct_blocked 1.0.
enum class Winograd { none, f23, f43 };
Winograd best_of(int64_t c, int64_t k, const KernelTensor& tiled) {
    if (!worthwhile(c, k, tiled)) return Winograd::none;
    const int64_t tiles = div_up(tiled.dim[2], F43::m) * div_up(tiled.dim[3], F43::m);
    if (this_isa != Isa::avx2 || tiles > 16 || c * k < 256 * 256) return Winograd::f43;
    return c * k < 512 * 512 ? Winograd::f23 : Winograd::none;
}
template <Winograd algorithm>
bool wins(const Problem& p) {
    return best_of(p.in[0].dim[1], p.out[0].dim[1], p.out[0]) == algorithm;
}

// winograd23 has no rows for rounded operands; where it would win, winograd43 still does.
bool rounded_wins(const Problem& p) { return best_of(p.in[0].dim[1], p.out[0].dim[1], p.out[0]) != Winograd::none; }

// Besides, each leaf's sums become a gradient: an image, of which a leaf may have only one, must have enough tiles to pay
// for that, and for more when the sums do not fit the caches (512x512 channels at 7x7 take 2 to 4 times as long as direct).
template <Winograd algorithm>
bool wgrad_wins(const Problem& p) {
    const int64_t c = p.in[0].dim[1], k = p.in[1].dim[1];
    const int64_t tiles = div_up(p.in[1].dim[2], F43::m) * div_up(p.in[1].dim[3], F43::m);
    return best_of(c, k, p.in[1]) == algorithm && c * k >= 5 * (c + k) && tiles >= (c * k <= 128 * 128 ? 4 : 9);
}

const Kernel rows[] = {
    {OpKind::conv2d, "winograd43", this_isa, in_f32<supports>, workspace<F43>, run_forward<F43>, growth43,
     wins<Winograd::f43>},
    {OpKind::conv2d_dgrad, "winograd43", this_isa, in_f32<supports>, workspace<F43>, run_dgrad<F43>, growth43,
     wins<Winograd::f43>},
    {OpKind::conv2d_wgrad, "winograd43", this_isa, in_f32<wgrad_supports>, wgrad_workspace<F43>, run_wgrad<F43>, growth43,
     wgrad_wins<Winograd::f43>},
    {OpKind::conv2d, "winograd23", this_isa, in_f32<supports>, workspace<F23>, run_forward<F23>, growth23,
     wins<Winograd::f23>},
    {OpKind::conv2d_dgrad, "winograd23", this_isa, in_f32<supports>, workspace<F23>, run_dgrad<F23>, growth23,
     wins<Winograd::f23>},
    {OpKind::conv2d_wgrad, "winograd23", this_isa, in_f32<wgrad_supports>, wgrad_workspace<F23>, run_wgrad<F23>, growth23,
     wgrad_wins<Winograd::f23>},
    {OpKind::conv2d, "winograd43_rounded", this_isa, in_bf16<supports>, rounded_workspace<workspace<F43>>,
     run_rounded<run_forward<F43>>, growth43, rounded_wins},
    {OpKind::conv2d_dgrad, "winograd43_rounded", this_isa, in_bf16<supports>, rounded_workspace<workspace<F43>>,
     run_rounded<run_dgrad<F43>>, growth43, rounded_wins},
    {OpKind::conv2d_wgrad, "winograd43_rounded", this_isa, in_bf16<wgrad_supports>, rounded_workspace<wgrad_workspace<F43>>,
     run_rounded<run_wgrad<F43>>, growth43, wgrad_wins<Winograd::f43>},
};

}  // namespace

KernelRows conv2d_winograd_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
