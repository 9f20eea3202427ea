// "direct_rows": the convolution and its gradients over plain activations, f32, any stride, padding and dilation, one group,
// filters up to 16x16. Vectors lie along the width, so a few channels cost no padding to 16: made for 1 to 32 channels.
//   forward, dgrad   rows_forward.h: 2 or 3 vectors of a row x 8 channels in registers; 16 channels if a row is one vector
//   wgrad            rows_wgrad.h: 8 output channels x 3 filter columns in registers
// A stride other than 1 is right but slow: it gathers its inputs one by one. wgrad reads dy once for each input channel and
// filter row, so it wants an image's dy to fit the second-level cache.
// Measured on one core (EPYC of family 26, GFLOP/s, batch 8, all 3x3 pad 1):
//   layer                        avx512 forward dgrad wgrad    avx2 forward dgrad wgrad
//   pneumonia   1->8  @64              131    -    108            71    -     63    (nchw16c: 44, 69; half of it padding)
//   pneumonia   8->16 @32              205   193   162            94    89    92
//   pneumonia  16->32 @16              213   214   146            94    99    83
#include "kernels/conv2d/rows_forward.h"
#include "kernels/conv2d/rows_wgrad.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows conv2d_nchw_rows();
namespace {

const Conv2d& conv_of(const Problem& problem) { return *static_cast<const Conv2d*>(problem.attrs); }

bool supports(const Problem& p) {
    const Conv2d& conv = conv_of(p);
    const KernelTensor& y = p.op == OpKind::conv2d_wgrad ? p.in[1] : p.out[0];
    return conv.groups == 1 && conv.r <= max_taps && conv.s <= max_taps && is_dense_f32(p.in[0], Layout::plain) &&
           is_dense_f32(y, Layout::plain);
}

int group_for(int64_t width) { return width <= vf_width ? narrow_group : row_group; }

// The workspace: the padded bias, then the packed filters. 16 is a multiple of every group.
size_t forward_workspace(const Problem& p, int) {
    const int64_t outs = div_up(p.out[0].dim[1], 16) * 16, ins = p.in[0].dim[1], taps = p.in[1].dim[2] * p.in[1].dim[3];
    return static_cast<size_t>(outs + outs * ins * taps) * sizeof(float);
}

float* pad_bias(const KernelArgs& args, int64_t outs, const Team& team) {
    float* padded = static_cast<float*>(args.workspace);
    const bool given = args.op == OpKind::conv2d && has_operand(args.in, args.n_in, 2);
    const float* bias = given ? static_cast<const float*>(args.in[2].data) : nullptr;
    for (int64_t k = 0; team.rank == 0 && k < div_up(outs, 16) * 16; ++k) padded[k] = bias && k < outs ? bias[k] : 0.0f;
    return padded;
}

void run_forward(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    RowJob job = {planes_of(args.in[0]), planes_of(args.out[0]), {}, {}, nullptr, nullptr, 0, false};
    job.relu = conv.activation == Activation::relu;
    job.group = group_for(job.out.w);
    job.rows = forward_axis(conv.r, conv.stride_h, conv.pad_h, conv.dilation_h, job.in.h, job.out.h);
    job.columns = forward_axis(conv.s, conv.stride_w, conv.pad_w, conv.dilation_w, job.in.w, job.out.w);
    job.bias = pad_bias(args, job.out.c, team);
    float* packed = static_cast<float*>(args.workspace) + div_up(job.out.c, 16) * 16;
    job.weights = packed;
    pack_row_filters(forward_filters(args.in[1]), job, packed, team);
    team.barrier();
    row_convolution(job, team);
}

// One phase after another, as in taps.h.
void run_dgrad(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    RowJob job = {planes_of(args.in[0]), planes_of(args.out[0]), {}, {}, nullptr, nullptr, 0, false};
    job.group = group_for(div_up(job.out.w, conv.stride_w));
    job.bias = pad_bias(args, job.out.c, team);
    const FilterView filters = dgrad_filters(args.in[1]);
    const int64_t outs = div_up(job.out.c, 16) * 16;
    for (int pass = 0; pass < 2; ++pass) {  // first all packing, then all convolutions
        float* packed = static_cast<float*>(args.workspace) + outs;
        for (int32_t a = 0; a < conv.stride_h; ++a)
            for (int32_t b = 0; b < conv.stride_w; ++b) {
                job.rows = dgrad_axis(conv.r, conv.stride_h, conv.pad_h, conv.dilation_h, job.in.h, job.out.h, a);
                job.columns = dgrad_axis(conv.s, conv.stride_w, conv.pad_w, conv.dilation_w, job.in.w, job.out.w, b);
                job.weights = packed;
                if (pass == 0) pack_row_filters(filters, job, packed, team);
                if (pass == 1) row_convolution(job, team);
                packed += outs * filters.ins * job.rows.taps * job.columns.taps;
            }
        if (pass == 0) team.barrier();
    }
}

void run_wgrad(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    RowWgradJob job = {planes_of(args.in[0]),
                       planes_of(args.in[1]),
                       {},
                       {},
                       args.step,
                       static_cast<float*>(args.out[0].data),
                       has_operand(args.out, args.n_out, 1) ? static_cast<float*>(args.out[1].data) : nullptr};
    job.rows = forward_axis(conv.r, conv.stride_h, conv.pad_h, conv.dilation_h, job.x.h, job.dy.h);
    job.columns = forward_axis(conv.s, conv.stride_w, conv.pad_w, conv.dilation_w, job.x.w, job.dy.w);
    row_wgrad(job, team);
}

const Kernel rows[] = {
    {OpKind::conv2d, "direct_rows", this_isa, supports, forward_workspace, run_forward},
    {OpKind::conv2d_dgrad, "direct_rows", this_isa, supports, forward_workspace, run_dgrad},
    {OpKind::conv2d_wgrad, "direct_rows", this_isa, supports, nullptr, run_wgrad},
};

}  // namespace

KernelRows conv2d_nchw_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
