// "direct_rows": the convolution and its gradients over plain activations, f32, any stride, padding, dilation and groups,
// filters up to 16x16; a grouped one is computed group by group, which leaves tiles mostly empty when groups are small.
// Vectors lie along the width, so a few channels cost no padding to 16: made for 1 to 32 channels.
//   forward, dgrad   direct_rows_forward.h: 2 or 3 vectors of a row x 8 channels in registers; 16 channels if a row is one
//   vector conv2d_statistics   the forward pass with batch normalisation's sums of each band of rows, which the first-level
//   cache
//                    still has: 1->8 @64 batch 64 2.1 ms apart, 1.6 together, bound by writing y (Zen 3, AVX2)
//   wgrad            direct_rows_wgrad.h: 8 output channels x 3 filter columns in registers
// A stride other than 1 is right but slow: it gathers its inputs one by one. wgrad reads dy once for each input channel and
// filter row, so it wants an image's dy to fit the second-level cache.
// Measured on one core (EPYC of family 26, GFLOP/s, batch 8, all 3x3 pad 1):
//   layer                        avx512 forward dgrad wgrad    avx2 forward dgrad wgrad
//   pneumonia   1->8  @64              131    -    108            71    -     63    (nchw16c: 44, 69; half of it padding)
//   pneumonia   8->16 @32              205   193   162            94    89    92
//   pneumonia  16->32 @16              213   214   146            94    99    83
// Since then 3x3 filters have a tile without loops over taps; one core of a Zen 3, AVX2, whose peak is 97: forward 42, 69,
// 75 for these three layers (31, 43, 48 before).
#include "kernels/batchnorm/channel_sums.h"
#include "kernels/conv2d/rows/direct_rows_forward.h"
#include "kernels/conv2d/rows/direct_rows_wgrad.h"
#include "kernels/simd/rounded.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows direct_rows_rows();
namespace {

const Conv2d& conv_of(const Problem& problem) { return *static_cast<const Conv2d*>(problem.attrs); }

Support supports(const Problem& p) {
    const Conv2d& conv = conv_of(p);
    const KernelTensor& y = p.op == OpKind::conv2d_wgrad ? p.in[1] : p.out[0];
    if (conv.r > max_taps || conv.s > max_taps) return refused("filter size");
    return both(dense_f32(p.in[0], Layout::plain), dense_f32(y, Layout::plain));
}

int group_for(int64_t width) { return width <= vf_width ? narrow_group : row_group; }

// The channels of one group; images stay as far apart as they are.
XB_INLINE RowPlanes group_of(RowPlanes planes, int64_t g, int64_t groups) {
    planes.c /= groups;
    planes.data += g * planes.c * planes.plane;
    return planes;
}

// The workspace: for each group the padded bias, then the packed filters. 16 is a multiple of every tile's channels.
int64_t padded_outs(const Problem& p) { return div_up(p.out[0].dim[1] / conv_of(p).groups, 16) * 16; }
int64_t group_floats(const Problem& p) {
    const int64_t outs = padded_outs(p), ins = p.in[0].dim[1] / conv_of(p).groups, taps = p.in[1].dim[2] * p.in[1].dim[3];
    return outs + outs * ins * taps;
}
size_t forward_workspace(const Problem& p, int) {
    return static_cast<size_t>(conv_of(p).groups * group_floats(p)) * sizeof(float);
}

void pad_bias(const KernelArgs& args, const Team& team) {
    const bool given = args.op != OpKind::conv2d_dgrad && has_operand(args.in, args.n_in, 2);
    const float* bias = given ? static_cast<const float*>(args.in[2].data) : nullptr;
    const int64_t groups = conv_of(args).groups, outs = args.out[0].dim[1] / groups;
    for (int64_t g = 0; team.rank == 0 && g < groups; ++g) {
        float* padded = static_cast<float*>(args.workspace) + g * group_floats(args);
        for (int64_t k = 0; k < padded_outs(args); ++k) padded[k] = bias && k < outs ? bias[g * outs + k] : 0.0f;
    }
}

// The part of a job that belongs to group g, its filters yet to be chosen.
RowJob row_job(const KernelArgs& args, int64_t g) {
    const Conv2d& conv = conv_of(args);
    RowJob job = {group_of(row_planes_of(args.in[0]), g, conv.groups),
                  group_of(row_planes_of(args.out[0]), g, conv.groups),
                  {},
                  {},
                  nullptr,
                  static_cast<float*>(args.workspace) + g * group_floats(args),
                  0,
                  false};
    return job;
}

float* packed_filters(const KernelArgs& args, int64_t g) {
    return static_cast<float*>(args.workspace) + g * group_floats(args) + padded_outs(args);
}

XB_INLINE RowJob forward_job(const KernelArgs& args, int64_t g) {
    const Conv2d& conv = conv_of(args);
    RowJob job = row_job(args, g);
    job.relu = conv.activation == Activation::relu;
    job.group = group_for(job.out.w);
    job.rows = forward_axis(conv.r, conv.stride_h, conv.pad_h, conv.dilation_h, job.in.h, job.out.h);
    job.columns = forward_axis(conv.s, conv.stride_w, conv.pad_w, conv.dilation_w, job.in.w, job.out.w);
    job.weights = packed_filters(args, g);
    return job;
}

void pack_forward(const KernelArgs& args, int64_t g, const RowJob& job, const Team& team) {
    FilterView filters = forward_filters(args.in[1]);
    filters.outs /= conv_of(args).groups;
    filters.data += g * filters.outs * filters.out_step;
    pack_row_filters(filters, job, packed_filters(args, g), team);
}

// ---- conv2d_statistics ----

// Behind the padded bias and the filters: the sums of each image and channel.
size_t statistics_workspace(const Problem& p, int) {
    return forward_workspace(p, 1) + static_cast<size_t>(p.out[0].dim[0] * p.out[0].dim[1]) * sizeof(SumPair);
}

void run_statistics(const KernelArgs& args, const Team& team) noexcept {
    pad_bias(args, team);
    const RowJob job = forward_job(args, 0);
    pack_forward(args, 0, job, team);
    team.barrier();
    const RowCuts cuts = row_cuts(job);
    const Planes planes = planes_of(args.out[0]);
    const auto* mean = static_cast<const float*>(args.in[3].data);
    auto* partial = reinterpret_cast<SumPair*>(static_cast<float*>(args.workspace) + group_floats(args));
    const int64_t groups = div_up(job.out.c, job.group);
    const Share mine = share_of(job.in.n * groups, team);
    for (int64_t task = mine.begin; task < mine.end; ++task) {
        const int64_t n = task / groups, first = task % groups * job.group;
        const int64_t end = first + job.group < job.out.c ? first + job.group : job.out.c;
        for (int64_t k = first; k < end; ++k) partial[n * job.out.c + k] = SumPair{};
        for (int32_t p0 = 0; p0 < job.rows.outputs;
             p0 += rows_a_task) {  // a band's outputs are still in the first-level cache
            const int32_t p1 = band_end(job, p0);
            row_band(job, cuts, n, task % groups, p0, p1);
            for (int64_t k = first; k < end; ++k)
                add_shifted(partial[n * job.out.c + k],
                            job.out.data + n * job.out.image + k * job.out.plane + p0 * job.out.w, (p1 - p0) * job.out.w,
                            chunk_set1(mean[k]));
        }
    }
    team.barrier();
    add_bands(planes, *args.step, {job.out.data, mean}, 1, partial, static_cast<double*>(args.out[1].data), team);
}

void run_forward(const KernelArgs& args, const Team& team) noexcept {
    const int64_t groups = conv_of(args).groups;
    pad_bias(args, team);
    for (int64_t g = 0; g < groups; ++g) pack_forward(args, g, forward_job(args, g), team);
    team.barrier();
    for (int64_t g = 0; g < groups; ++g) row_convolution(forward_job(args, g), team);
}

// One phase after another, as in taps.h.
void run_dgrad(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    pad_bias(args, team);
    for (int pass = 0; pass < 2; ++pass) {
        for (int64_t g = 0; g < conv.groups; ++g) {
            RowJob job = row_job(args, g);
            job.group = group_for(div_up(job.out.w, conv.stride_w));
            FilterView filters = dgrad_filters(args.in[1]);
            filters.ins /= conv.groups;
            filters.data += g * filters.ins * filters.in_step;
            float* packed = static_cast<float*>(args.workspace) + g * group_floats(args) + padded_outs(args);
            for (int32_t a = 0; a < conv.stride_h; ++a)
                for (int32_t b = 0; b < conv.stride_w; ++b) {
                    job.rows = dgrad_axis(conv.r, conv.stride_h, conv.pad_h, conv.dilation_h, job.in.h, job.out.h, a);
                    job.columns = dgrad_axis(conv.s, conv.stride_w, conv.pad_w, conv.dilation_w, job.in.w, job.out.w, b);
                    job.weights = packed;
                    if (pass == 0) pack_row_filters(filters, job, packed, team);
                    if (pass == 1) row_convolution(job, team);
                    packed += padded_outs(args) * filters.ins * job.rows.taps * job.columns.taps;
                }
        }
        if (pass == 0) team.barrier();
    }
}

void run_wgrad(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    const bool bias = has_operand(args.out, args.n_out, 1);
    for (int64_t g = 0; g < conv.groups; ++g) {
        RowWgradJob job = {group_of(row_planes_of(args.in[0]), g, conv.groups),
                           group_of(row_planes_of(args.in[1]), g, conv.groups),
                           {},
                           {},
                           args.step,
                           static_cast<float*>(args.out[0].data),
                           nullptr};
        job.dw += g * job.dy.c * job.x.c * conv.r * conv.s;
        if (bias) job.db = static_cast<float*>(args.out[1].data) + g * job.dy.c;
        job.rows = forward_axis(conv.r, conv.stride_h, conv.pad_h, conv.dilation_h, job.x.h, job.dy.h);
        job.columns = forward_axis(conv.s, conv.stride_w, conv.pad_w, conv.dilation_w, job.x.w, job.dy.w);
        row_wgrad(job, team);
    }
}

Support statistics_supports(const Problem& p) { return conv_of(p).groups == 1 ? supports(p) : refused("groups"); }

const Kernel rows[] = {
    {OpKind::conv2d, "direct_rows", this_isa, in_f32<supports>, forward_workspace, run_forward},
    {OpKind::conv2d_statistics, "direct_rows", this_isa, in_f32<statistics_supports>, statistics_workspace, run_statistics},
    {OpKind::conv2d_dgrad, "direct_rows", this_isa, in_f32<supports>, forward_workspace, run_dgrad},
    {OpKind::conv2d_wgrad, "direct_rows", this_isa, in_f32<supports>, nullptr, run_wgrad},
    {OpKind::conv2d, "direct_rows_rounded", this_isa, in_bf16<supports>, rounded_workspace<forward_workspace>,
     run_rounded<run_forward>},
    {OpKind::conv2d_dgrad, "direct_rows_rounded", this_isa, in_bf16<supports>, rounded_workspace<forward_workspace>,
     run_rounded<run_dgrad>},
    {OpKind::conv2d_wgrad, "direct_rows_rounded", this_isa, in_bf16<supports>, rounded_workspace<nullptr>,
     run_rounded<run_wgrad>},
};

}  // namespace

KernelRows direct_rows_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
