// "direct_pairs": the convolution and its gradients over nchw16c activations with products in bf16 (AVX-512-BF16), any
// stride, padding and dilation, one group, filters up to 16x16.
//   forward, dgrad   direct_pairs_forward.h: 14 pixels x 32 channels in registers, two input channels a multiply-add
//   wgrad            direct_pairs_wgrad.h: 8 input x 32 output channels in registers, two pixels a multiply-add
// Each call first rounds its activations (and packs its filters) into the workspace. Bound by the units for bf16 products,
// twice those of f32; with 1x1 filters and few channels by the pass that rounds. winograd43 on rounded operands is faster
// where it applies, so that these rows are chosen for the rest (strides, 1x1, small images).
// Measured on one core (EPYC 9004, Zen 4: peak of f32 118 GFLOP/s, of bf16 twice that), GFLOP/s of real work, one call, 3x3:
//   cifar 32->32 @32, batch 16    dgrad 223, wgrad 202    direct_blocked 109, 106    winograd43_rounded 292, 226
//   nih   32->64 @112, batch 4    dgrad 203, wgrad 170    direct_blocked 105, 96     winograd43_rounded 221, 194
#include "kernels/conv2d/pairs/direct_pairs_forward.h"
#include "kernels/conv2d/pairs/direct_pairs_wgrad.h"
#include "kernels/products.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows direct_pairs_bf16_rows();
namespace {

const Conv2d& conv_of(const Problem& problem) { return *static_cast<const Conv2d*>(problem.attrs); }

Support supports_images(const Problem& p, const KernelTensor& a, const KernelTensor& b) {
    const Conv2d& conv = conv_of(p);
    if (products_of(p) != DType::bf16) return refused("products");
    if (conv.groups != 1) return refused("groups");
    if (conv.r > max_taps || conv.s > max_taps) return refused("filter size");
    return both(known_attributes(p), both(dense_f32(a, Layout::nchw16c), dense_f32(b, Layout::nchw16c)));
}
Support supports(const Problem& p) { return supports_images(p, p.in[0], p.out[0]); }
Support wgrad_supports(const Problem& p) { return supports_images(p, p.in[0], p.in[1]); }

Axis rows_of(const Problem& p, int32_t phase) {
    const Conv2d& conv = conv_of(p);
    const int64_t in = p.in[0].dim[2], out = p.out[0].dim[2];
    return p.op == OpKind::conv2d_dgrad ? dgrad_axis(conv.r, conv.stride_h, conv.pad_h, conv.dilation_h, in, out, phase)
                                        : forward_axis(conv.r, conv.stride_h, conv.pad_h, conv.dilation_h, in, out);
}
Axis columns_of(const Problem& p, int32_t phase) {
    const Conv2d& conv = conv_of(p);
    const int64_t in = p.in[0].dim[3], out = p.out[0].dim[3];
    return p.op == OpKind::conv2d_dgrad ? dgrad_axis(conv.s, conv.stride_w, conv.pad_w, conv.dilation_w, in, out, phase)
                                        : forward_axis(conv.s, conv.stride_w, conv.pad_w, conv.dilation_w, in, out);
}

// dgrad computes one phase after another (taps.h): stride 1 has one, stride 2 two on each axis.
int32_t phases(const Problem& p, int32_t stride) { return p.op == OpKind::conv2d_dgrad ? stride : 1; }

// The workspace of forward and dgrad: the padded bias, the packed filters, the rounded copy of the input.
int64_t packed_dwords(const Problem& p) {
    const int64_t taps = p.in[1].dim[2] * p.in[1].dim[3];
    return padded_bias_size(p.out[0].dim[1]) + packed_pairs_size(p.out[0].dim[1], p.in[0].dim[1], taps);
}

PairImages copy_for(const Problem& p) {
    PairImages copy = {};
    for (int32_t b = 0; b < phases(p, conv_of(p).stride_w); ++b) reserve_columns(columns_of(p, b), copy);
    set_steps(blocks_of(p.in[0]), copy);
    return copy;
}

size_t workspace(const Problem& p, int) {
    return static_cast<size_t>(packed_dwords(p) + p.in[0].dim[0] * copy_for(p).image) * sizeof(uint32_t);
}

// One call of forward or dgrad: first all packing and rounding, then all phases.
void run(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    const bool backward = args.op == OpKind::conv2d_dgrad;
    const FilterView filters = backward ? dgrad_filters(args.in[1]) : forward_filters(args.in[1]);
    const bool biased = !backward && has_operand(args.in, args.n_in, 2);
    const float* given = biased ? static_cast<const float*>(args.in[2].data) : nullptr;
    float* bias = static_cast<float*>(args.workspace);
    uint32_t* const packed = static_cast<uint32_t*>(args.workspace) + padded_bias_size(filters.outs);
    PairJob job = {copy_for(args),
                   args.in[0].dim[1],
                   blocks_of(args.out[0]),
                   {},
                   {},
                   nullptr,
                   bias,
                   !backward && conv.activation == Activation::relu};
    job.in.data = static_cast<uint32_t*>(args.workspace) + packed_dwords(args);
    if (team.rank == 0)
        for (int64_t k = 0; k < padded_bias_size(filters.outs); ++k) bias[k] = given && k < filters.outs ? given[k] : 0.0f;
    round_images(blocks_of(args.in[0]), job.in, team);
    for (int pass = 0; pass < 2; ++pass) {
        uint32_t* weights = packed;
        for (int32_t a = 0; a < phases(args, conv.stride_h); ++a)
            for (int32_t b = 0; b < phases(args, conv.stride_w); ++b) {
                job.rows = rows_of(args, a);
                job.columns = columns_of(args, b);
                job.weights = weights;
                if (pass == 0) pack_pair_filters(filters, job.rows, job.columns, weights, team);
                if (pass == 1) pair_convolution(job, team);
                weights += packed_pairs_size(filters.outs, filters.ins, int64_t{job.rows.taps} * job.columns.taps);
            }
        if (pass == 0) team.barrier();
    }
}

// The workspace of wgrad in dwords: the pairs of x, those of dy, and for each thread the stack of partial sums.
struct PairWgradSpace {
    int64_t x, dy, stack;
};

PairWgradSpace wgrad_space(const Problem& p) {
    const Blocks x = blocks_of(p.in[0]), dy = blocks_of(p.in[1]);
    int64_t levels = 2;
    for (int64_t leaves = p.leaves; leaves > 1; leaves /= 2) ++levels;
    return PairWgradSpace{x.n * pair_rows(nullptr, x, paired_inputs(x, conv_of(p).stride_w)).image,
                          dy.n * pair_rows(nullptr, dy, paired_gradients(dy)).image,
                          levels * blocked_wgrad_sums(conv_of(p))};
}

size_t wgrad_workspace(const Problem& p, int threads) {
    const PairWgradSpace space = wgrad_space(p);
    return static_cast<size_t>(space.x + space.dy + threads * space.stack) * sizeof(uint32_t);
}

void run_wgrad(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    const PairWgradSpace space = wgrad_space(args);
    const Blocks x = blocks_of(args.in[0]), dy = blocks_of(args.in[1]);
    uint32_t* memory = static_cast<uint32_t*>(args.workspace);
    PairWgradJob job = {};
    job.x = pair_rows(memory, x, paired_inputs(x, conv.stride_w));
    job.dy = pair_rows(memory + space.x, dy, paired_gradients(dy));
    job.in_channels = x.c;
    job.out_channels = dy.c;
    job.width = x.w;
    job.rows = forward_axis(conv.r, conv.stride_h, conv.pad_h, conv.dilation_h, x.h, dy.h);
    job.columns = forward_axis(conv.s, conv.stride_w, conv.pad_w, conv.dilation_w, x.w, dy.w);
    job.step = args.step;
    job.dw = static_cast<float*>(args.out[0].data);
    if (has_operand(args.out, args.n_out, 1)) job.db = static_cast<float*>(args.out[1].data);
    job.sums = reinterpret_cast<float*>(memory + space.x + space.dy + team.rank * space.stack);
    pair_columns(x, job.x, paired_inputs(x, conv.stride_w), -conv.stride_w, 1, conv.stride_w, team);
    pair_columns(dy, job.dy, paired_gradients(dy), 0, 2, 1, team);
    team.barrier();
    pair_wgrad(job, team);
}

const Kernel rows[] = {
    {OpKind::conv2d, "direct_pairs", this_isa, supports, workspace, run},
    {OpKind::conv2d_dgrad, "direct_pairs", this_isa, supports, workspace, run},
    {OpKind::conv2d_wgrad, "direct_pairs", this_isa, wgrad_supports, wgrad_workspace, run_wgrad},
};

}  // namespace

KernelRows direct_pairs_bf16_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
