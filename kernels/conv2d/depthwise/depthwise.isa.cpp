// "depthwise": convolutions in which each output channel has one input channel of its own (groups == c == k), and their
// gradients, over nchw16c activations, f32; strides 1 and 2, any padding and dilation, filters up to 16x16.
//   forward, dgrad   depthwise_forward.h: a tile of 6 or 14 pixels of a block of 16 channels in registers for all taps
//   wgrad            depthwise_wgrad.h: a tile of up to 5x5 taps in registers while the rows pass
// 9 multiply-adds for each number read and written: bound by memory where layers do not fit the second-level cache, else by
// one load for each multiply-add. Small images lose time at their borders, where tiles are short.
// Measured on one core (EPYC of family 25, AVX2, the other core busy; MobileNetV2's layers and two 5x5 of V3 at batch 4): as
// fast as oneDNN 2.6 (its filters packed before the clock starts) times
//   forward 0.51-0.84, dgrad 0.7-1.8, wgrad 0.4-1.3 (5x5, where oneDNN has no such kernel: 17 and 19);
// 3 to 29 times as fast as the plain rows; 50-110% of the bandwidth of a copy from memory at 56x56 pixels and more.
#include "kernels/conv2d/bias_wgrad.h"
#include "kernels/conv2d/depthwise/depthwise_forward.h"
#include "kernels/conv2d/depthwise/depthwise_wgrad.h"
#include "kernels/simd/rounded.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows depthwise_rows();
namespace {

const Conv2d& conv_of(const Problem& problem) { return *static_cast<const Conv2d*>(problem.attrs); }

Support supports(const Problem& p) {
    const Conv2d& conv = conv_of(p);
    const KernelTensor &a = p.in[0], &b = p.op == OpKind::conv2d_wgrad ? p.in[1] : p.out[0];
    if (conv.groups == 1 || conv.groups != a.dim[1] || conv.groups != b.dim[1]) return refused("groups");
    if (conv.r > max_taps || conv.s > max_taps) return refused("filter size");
    if (conv.stride_h > most_phases || conv.stride_w > most_phases) return refused("stride");
    return both(dense_f32(a, Layout::nchw16c), dense_f32(b, Layout::nchw16c));
}

// The workspace of forward and dgrad: the bias {blocks, 16}, then the filters {blocks, r, s, 16}.
int64_t blocks_of_channels(const Problem& p) { return div_up(conv_of(p).groups, block); }
int64_t filter_area(const Problem& p) { return int64_t{conv_of(p).r} * conv_of(p).s; }
size_t forward_workspace(const Problem& p, int) {
    return static_cast<size_t>(blocks_of_channels(p) * block * (1 + filter_area(p))) * sizeof(float);
}

// Channels past the last are zero. bias may be null.
void pack(const float* w, const float* bias, int64_t channels, int64_t taps, float* packed, const Team& team) {
    const int64_t padded = div_up(channels, block) * block;
    float* filters = packed + padded;
    const Share mine = share_of(padded, team);
    for (int64_t c = mine.begin; c < mine.end; ++c) {
        packed[c] = bias && c < channels ? bias[c] : 0.0f;
        for (int64_t t = 0; t < taps; ++t)
            filters[(c / block * taps + t) * block + c % block] = c < channels ? w[c * taps + t] : 0.0f;
    }
    team.barrier();
}

// Packs the filters and fills in what forward and dgrad share.
DepthwiseJob start(const KernelArgs& args, const float* bias, const Team& team) {
    const Conv2d& conv = conv_of(args);
    float* packed = static_cast<float*>(args.workspace);
    pack(static_cast<const float*>(args.in[1].data), bias, conv.groups, filter_area(args), packed, team);
    DepthwiseJob job = {};
    job.in = blocks_of(args.in[0]);
    job.out = blocks_of(args.out[0]);
    job.bias = packed;
    job.weights = packed + blocks_of_channels(args) * block;
    job.filter_area = conv.r * conv.s;
    return job;
}

void run_forward(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    const float* bias = has_operand(args.in, args.n_in, 2) ? static_cast<const float*>(args.in[2].data) : nullptr;
    DepthwiseJob job = start(args, bias, team);
    job.relu = conv.activation == Activation::relu;
    job.row_phases = job.column_phases = 1;
    job.rows[0] = depthwise_axis(forward_axis(conv.r, conv.stride_h, conv.pad_h, conv.dilation_h, job.in.h, job.out.h),
                                 job.in.row, conv.s * block);
    job.columns[0] =
        depthwise_axis(forward_axis(conv.s, conv.stride_w, conv.pad_w, conv.dilation_w, job.in.w, job.out.w), block, block);
    depthwise_convolution(job, team);
}

void run_dgrad(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    DepthwiseJob job = start(args, nullptr, team);
    job.row_phases = conv.stride_h;
    job.column_phases = conv.stride_w;
    for (int32_t a = 0; a < conv.stride_h; ++a)
        job.rows[a] = depthwise_axis(dgrad_axis(conv.r, conv.stride_h, conv.pad_h, conv.dilation_h, job.in.h, job.out.h, a),
                                     job.in.row, conv.s * block);
    for (int32_t b = 0; b < conv.stride_w; ++b)
        job.columns[b] = depthwise_axis(
            dgrad_axis(conv.s, conv.stride_w, conv.pad_w, conv.dilation_w, job.in.w, job.out.w, b), block, block);
    depthwise_convolution(job, team);
}

// The workspace of wgrad: a row of zeros for each thread, then the sums of the leaves.
size_t wgrad_workspace(const Problem& p, int threads) {
    const int64_t sums = p.leaves * blocks_of_channels(p) * filter_area(p), zeros = threads * p.in[0].dim[3];
    return static_cast<size_t>((zeros + sums) * block) * sizeof(float);
}

void run_wgrad(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    float* space = static_cast<float*>(args.workspace);
    DepthwiseWgradJob job = {};
    job.x = blocks_of(args.in[0]);
    job.dy = blocks_of(args.in[1]);
    job.rows = forward_axis(conv.r, conv.stride_h, conv.pad_h, conv.dilation_h, job.x.h, job.dy.h);
    job.columns = forward_axis(conv.s, conv.stride_w, conv.pad_w, conv.dilation_w, job.x.w, job.dy.w);
    job.dilation = conv.dilation_w;
    job.step = args.step;
    job.dw = static_cast<float*>(args.out[0].data);
    float* zeros = space + team.rank * job.x.row;
    for (int64_t i = 0; i < job.x.row; i += vf_width) vf_store(zeros + i, vf_zero());
    job.zeros = zeros;
    job.sums = space + team.size * job.x.row;
    depthwise_wgrad(job, team);
    float* db = has_operand(args.out, args.n_out, 1) ? static_cast<float*>(args.out[1].data) : nullptr;
    bias_wgrad(job.dy, *args.step, db, team);
}

const Kernel rows[] = {
    {OpKind::conv2d, "depthwise", this_isa, in_f32<supports>, forward_workspace, run_forward},
    {OpKind::conv2d_dgrad, "depthwise", this_isa, in_f32<supports>, forward_workspace, run_dgrad},
    {OpKind::conv2d_wgrad, "depthwise", this_isa, in_f32<supports>, wgrad_workspace, run_wgrad},
    {OpKind::conv2d, "depthwise_rounded", this_isa, in_bf16<supports>, rounded_workspace<forward_workspace>,
     run_rounded<run_forward>},
    {OpKind::conv2d_dgrad, "depthwise_rounded", this_isa, in_bf16<supports>, rounded_workspace<forward_workspace>,
     run_rounded<run_dgrad>},
    {OpKind::conv2d_wgrad, "depthwise_rounded", this_isa, in_bf16<supports>, rounded_workspace<wgrad_workspace>,
     run_rounded<run_wgrad>},
};

}  // namespace

KernelRows depthwise_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
