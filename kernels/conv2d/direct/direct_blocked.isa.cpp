// "direct_blocked": the convolution and its gradients over nchw16c activations, f32, any stride, padding and dilation,
// filters up to 16x16; one group, or groups of whole blocks of 16 channels, one after the other. The first layer's input
// may also be plain with up to 4 channels (the stem).
//   forward, dgrad   direct_blocked_forward.h: 14 (AVX2: 3) pixels x 32 channels in registers
//                    direct_bands.h: their order; each panel's filters are packed just before their use
//   wgrad            direct_blocked_wgrad.h: 8 input x 32 output (AVX2: 6 x 16) channels in registers, all taps of a band of
//   rows forward of a stem stem_forward.h: one loop over all positions of the filter wgrad of a stem  stem_wgrad.h: 14
//   positions of the filter x 32 output channels in registers
// AVX2 on a Zen 3, stride 2, batch 4, x oneDNN 2.6 in turn, with filters packed before all -> with their groups: 128@56
// forward 0.89 -> 0.92, dgrad 0.71 -> 0.85; 256@28 0.74 -> 0.90, 0.75 -> 0.90; 512@14 0.72 -> 1.0, 0.61 -> 0.88.
// Bound by the multiply-add units for 16 channels and more; a stem by the bandwidth to its output.
// Measured on one core (EPYC of family 26, GFLOP/s of real work, packing of the filters included):
//   layer (all 3x3)                   avx512 forward dgrad wgrad    avx2 forward dgrad wgrad
//   fracture   1->32  @48 batch 32          137    -    157            68    -     68
//   fracture  32->64  @23                   269   272   268           129   129   113
//   fracture  64->128 @10                   253   256   256           118   115   115
//   cifar      3->32  @32 batch 16          128    -    187            75    -     84
//   cifar     32->32  @32                   281   282   279           130   134   123
//   cifar     64->64  @16                   278   277   288           138   137   135
//   nih        3->32  @224 batch 4          187    -    177            86    -     72
//   nih       32->64  @112                  270   274   256           121   124   119
//   nih       64->128 @56 stride 2          269   265   265           135   133   122
#include "kernels/conv2d/direct/direct_bands.h"
#include "kernels/conv2d/direct/direct_blocked_wgrad.h"
#include "kernels/conv2d/stem/stem_forward.h"
#include "kernels/conv2d/stem/stem_wgrad.h"
#include "kernels/simd/rounded.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows direct_blocked_rows();
namespace {

const Conv2d& conv_of(const Problem& problem) { return *static_cast<const Conv2d*>(problem.attrs); }

// in: x, or dy of dgrad; out: y, dx of dgrad, dy of wgrad.
Support supports_shapes(const Conv2d& conv, const KernelTensor& in, const KernelTensor& out) {
    const int64_t whole_blocks = int64_t{conv.groups} * block;
    if (conv.groups > 1 && (in.dim[1] % whole_blocks != 0 || out.dim[1] % whole_blocks != 0)) return refused("groups");
    if (conv.r > max_taps || conv.s > max_taps) return refused("filter size");
    return dense_f32(out, Layout::nchw16c);
}

Support supports_input(const KernelTensor& x) {
    return is_dense_f32(x, Layout::plain) && x.dim[1] <= 4 ? supported : dense_f32(x, Layout::nchw16c);
}

Support forward_supports(const Problem& p) {
    return both(supports_input(p.in[0]), supports_shapes(conv_of(p), p.in[0], p.out[0]));
}
Support dgrad_supports(const Problem& p) {
    return both(dense_f32(p.in[0], Layout::nchw16c), supports_shapes(conv_of(p), p.in[0], p.out[0]));
}
Support wgrad_supports(const Problem& p) {
    return both(supports_input(p.in[0]), supports_shapes(conv_of(p), p.in[0], p.in[1]));
}

// The channels of one group; images stay as far apart as they are.
Blocks group_of(const KernelTensor& t, int64_t g, int64_t groups) {
    Blocks blocks = blocks_of(t);
    blocks.c /= groups;
    blocks.data += g * blocks.c / blocks.width * blocks.plane;
    return blocks;
}

// The workspace of forward and dgrad: each group's padded bias, then for each thread the packed filters of 32 outputs of a
// group; of a stem all packed filters, then for each thread its rows.
int64_t group_bias(const Problem& p) { return padded_bias_size(p.out[0].dim[1] / conv_of(p).groups); }
int64_t bias_space(const Problem& p) { return conv_of(p).groups * group_bias(p); }
int64_t thread_filters(const Problem& p) {
    const int64_t ins = p.in[0].dim[1] / conv_of(p).groups;
    return div_up(packed_group_size(ins, p.in[1].dim[2] * p.in[1].dim[3]), block) * block;
}
int64_t stem_filter_space(const Problem& p) {
    return bias_space(p) + packed_size(p.out[0].dim[1], p.in[0].dim[1], p.in[1].dim[2] * p.in[1].dim[3]);
}

size_t forward_workspace(const Problem& p, int threads) {
    const int64_t floats = is_stem(p) ? stem_filter_space(p) + threads * stem_copy_floats(p.in[0], conv_of(p))
                                      : bias_space(p) + threads * thread_filters(p);
    return static_cast<size_t>(floats) * sizeof(float);
}

// bias: of all groups, or null.
void pad_bias(const KernelArgs& args, const float* bias) {
    float* padded = static_cast<float*>(args.workspace);
    const int64_t each = group_bias(args), outs = args.out[0].dim[1] / conv_of(args).groups;
    for (int64_t g = 0; g < conv_of(args).groups; ++g)
        for (int64_t k = 0; k < each; ++k) padded[g * each + k] = bias && k < outs ? bias[g * outs + k] : 0.0f;
}

// Group g, its taps and filters yet to be chosen.
DirectJob group_job(const KernelArgs& args, int64_t g) {
    const int64_t groups = conv_of(args).groups;
    const float* bias = static_cast<const float*>(args.workspace) + g * group_bias(args);
    return {group_of(args.in[0], g, groups), group_of(args.out[0], g, groups), {}, {}, nullptr, bias, false};
}

DirectJob forward_job(const KernelArgs& args, int64_t g) {
    const Conv2d& conv = conv_of(args);
    DirectJob job = group_job(args, g);
    job.rows = forward_axis(conv.r, conv.stride_h, conv.pad_h, conv.dilation_h, job.in.h, job.out.h);
    job.columns = forward_axis(conv.s, conv.stride_w, conv.pad_w, conv.dilation_w, job.in.w, job.out.w);
    job.relu = conv.activation == Activation::relu;
    return job;
}

void stem_forward(const StemForwardJob& job, const Team& team) {
    const StemCuts cuts = stem_cuts(job.columns);
    const int64_t channels = div_up(job.out.c, block) * block;
    const Share mine = share_of(job.in.n * job.rows.outputs, team);
    for (int64_t task = mine.begin; task < mine.end; ++task) {
        const int64_t n = task / job.rows.outputs, i = task % job.rows.outputs;
        stem_forward_row(job, cuts, n, static_cast<int32_t>(i), 0, channels,
                         job.out.data + n * job.out.image + i * job.out.row);
    }
}

// The bias is being padded.
void run_stem(const KernelArgs& args, const Team& team) {
    const DirectJob direct = forward_job(args, 0);
    float* space = static_cast<float*>(args.workspace);
    float* weights = space + bias_space(args);
    pack_filters(forward_filters(args.in[1]), direct.rows, direct.columns, direct.in.width, weights, team);
    team.barrier();
    StemForwardJob job = {
        direct.in,   direct.out,
        direct.rows, direct.columns,
        weights,     direct.bias,
        direct.relu, space + stem_filter_space(args) + team.rank * stem_copy_floats(args.in[0], conv_of(args)),
        0,           {}};
    set_stem_offsets(job);
    stem_forward(job, team);
}

// Where this thread packs filters.
float* packed_filters(const KernelArgs& args, const Team& team) {
    return static_cast<float*>(args.workspace) + bias_space(args) + team.rank * thread_filters(args);
}

void run_forward(const KernelArgs& args, const Team& team) noexcept {
    if (team.rank == 0)
        pad_bias(args, has_operand(args.in, args.n_in, 2) ? static_cast<const float*>(args.in[2].data) : nullptr);
    if (is_stem(args)) return run_stem(args, team);
    team.barrier();
    for (int64_t g = 0; g < conv_of(args).groups; ++g) {
        const DirectJob job = forward_job(args, g);
        FilterView filters = forward_filters(args.in[1]);
        filters.outs = job.out.c;
        filters.data += g * filters.outs * filters.out_step;
        direct_convolution(
            1, [&](int32_t) { return job; }, filters, packed_filters(args, team), team);
    }
}

// A convolution for each remainder of rows and columns: stride 1 has one, stride 2 four. One without taps is all zero.
void dgrad_group(const KernelArgs& args, const Team& team, int64_t g) {
    const Conv2d& conv = conv_of(args);
    DirectJob job = group_job(args, g);
    FilterView filters = dgrad_filters(args.in[1]);
    filters.ins = job.in.c;
    filters.data += g * filters.ins * filters.in_step;
    const auto phase_of = [&](int32_t i) {
        const int32_t a = i / conv.stride_w, b = i % conv.stride_w;
        job.rows = dgrad_axis(conv.r, conv.stride_h, conv.pad_h, conv.dilation_h, job.in.h, job.out.h, a);
        job.columns = dgrad_axis(conv.s, conv.stride_w, conv.pad_w, conv.dilation_w, job.in.w, job.out.w, b);
        return job;
    };
    direct_convolution(conv.stride_h * conv.stride_w, phase_of, filters, packed_filters(args, team), team);
}

void run_dgrad(const KernelArgs& args, const Team& team) noexcept {
    if (team.rank == 0) pad_bias(args, nullptr);
    team.barrier();
    for (int64_t g = 0; g < conv_of(args).groups; ++g) dgrad_group(args, team, g);
}

// A thread's workspace of wgrad in floats: the stack of partial sums, and a stem's input rows.
struct WgradSpace {
    int64_t stack, rows;
};

WgradSpace wgrad_space(const Problem& p) {
    const Conv2d& conv = conv_of(p);
    const bool stem = is_stem(p);
    int64_t levels = 2;
    for (int64_t leaves = p.leaves; leaves > 1; leaves /= 2) ++levels;
    return WgradSpace{levels * (stem ? stem_wgrad_sums(conv, p.in[0].dim[1]) : blocked_wgrad_sums(conv)),
                      stem ? stem_copy_floats(p.in[0], conv) : 0};
}

size_t wgrad_workspace(const Problem& p, int threads) {
    const WgradSpace space = wgrad_space(p);
    return static_cast<size_t>(threads * (space.stack + space.rows)) * sizeof(float);
}

void run_wgrad(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    const WgradSpace space = wgrad_space(args);
    float* mine = static_cast<float*>(args.workspace) + team.rank * (space.stack + space.rows);
    for (int64_t g = 0; g < conv.groups; ++g) {
        WgradJob job = {group_of(args.in[0], g, conv.groups),
                        group_of(args.in[1], g, conv.groups),
                        {},
                        {},
                        args.step,
                        static_cast<float*>(args.out[0].data),
                        nullptr,
                        mine,
                        mine + space.stack};
        job.dw += g * job.dy.c * job.x.c * conv.r * conv.s;
        if (has_operand(args.out, args.n_out, 1)) job.db = static_cast<float*>(args.out[1].data) + g * job.dy.c;
        job.rows = forward_axis(conv.r, conv.stride_h, conv.pad_h, conv.dilation_h, job.x.h, job.dy.h);
        job.columns = forward_axis(conv.s, conv.stride_w, conv.pad_w, conv.dilation_w, job.x.w, job.dy.w);
        if (job.x.width == 1) {
            stem_wgrad(job, team);
        } else {
            blocked_wgrad(job, team);
        }
    }
}

const Kernel rows[] = {
    {OpKind::conv2d, "direct_blocked", this_isa, in_f32<forward_supports>, forward_workspace, run_forward},
    {OpKind::conv2d_dgrad, "direct_blocked", this_isa, in_f32<dgrad_supports>, forward_workspace, run_dgrad},
    {OpKind::conv2d_wgrad, "direct_blocked", this_isa, in_f32<wgrad_supports>, wgrad_workspace, run_wgrad},
    {OpKind::conv2d, "direct_blocked_rounded", this_isa, in_bf16<forward_supports>, rounded_workspace<forward_workspace>,
     run_rounded<run_forward>},
    {OpKind::conv2d_dgrad, "direct_blocked_rounded", this_isa, in_bf16<dgrad_supports>, rounded_workspace<forward_workspace>,
     run_rounded<run_dgrad>},
    {OpKind::conv2d_wgrad, "direct_blocked_rounded", this_isa, in_bf16<wgrad_supports>, rounded_workspace<wgrad_workspace>,
     run_rounded<run_wgrad>},
};

}  // namespace

KernelRows direct_blocked_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
