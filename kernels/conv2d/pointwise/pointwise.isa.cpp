// "pointwise": convolutions with 1x1 filters and stride 1 or 2 over nchw16c activations as matrix products, f32, one group.
//   forward, dgrad   pointwise_forward.h: 14 (AVX2: 3) pixels x 32 channels in registers, panels of 128 x 32 weights
//   wgrad            pointwise_wgrad.h: 8 output x 32 input (AVX2: 6 x 16) channels in registers, blocks of 64 x 256
// Bound by the multiply-add units. Filters are packed first or, for few pixels, panel by panel.
// Measured on one core (EPYC of family 25, peak 118 GFLOP/s, ResNet-50's layers at batch 4), share of the peak: 56x56 to
// 14x14 forward 81-93%, dgrad 75-91%, wgrad 69-90%; 7x7 73-78%, 65-81%, 71-87%. AVX2 on a Zen 3 (peak 104, a machine
// with noisy neighbours): 66-91%, 58-91%, 61-84%; 7x7 68%, 71-73%, 70-76%; stride 2 61-69%, 62-71%, 62-74%.
#include "kernels/conv2d/bias_wgrad.h"
#include "kernels/conv2d/pointwise/pointwise_forward.h"
#include "kernels/conv2d/pointwise/pointwise_wgrad.h"
#include "kernels/simd/rounded.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows pointwise_rows();
namespace {

const Conv2d& conv_of(const Problem& problem) { return *static_cast<const Conv2d*>(problem.attrs); }

Support supports_images(const Conv2d& conv, const KernelTensor& a, const KernelTensor& b) {
    if (conv.groups != 1) return refused("groups");
    if (conv.r != 1 || conv.s != 1) return refused("filter size");
    if (conv.pad_h != 0 || conv.pad_w != 0) return refused("padding");
    if (conv.stride_h != conv.stride_w || conv.stride_h > 2) return refused("stride");
    return both(dense_f32(a, Layout::nchw16c), dense_f32(b, Layout::nchw16c));
}
Support data_supports(const Problem& p) { return supports_images(conv_of(p), p.in[0], p.out[0]); }
Support wgrad_supports(const Problem& p) { return supports_images(conv_of(p), p.in[0], p.in[1]); }

// The pixels that a 1x1 convolution touches: all, or with a stride those of some rows and columns.
Lines lines_of(const Blocks& t, int32_t stride) { return Lines{t.data, t.image, t.row * stride, t.plane, block * stride}; }

// With a stride, forward and wgrad first bring the pixels of x that they read side by side: a quarter of x. The loops then
// find whole lines and no rows that are as short as a tile.
int64_t gathered_floats(const Problem& p, const KernelTensor& x, const KernelTensor& like) {
    return conv_of(p).stride_h == 1 ? 0 : x.dim[0] * div_up(x.dim[1], block) * like.dim[2] * like.dim[3] * block;
}

// x, or those pixels of it in `to`; `like`: an image of that size. Ends with a barrier where it has written.
Blocks gather_pixels(const Blocks& x, const Blocks& like, int32_t stride, float* to, const Team& team) {
    if (stride == 1) return x;
    Blocks small = x;
    small.data = to;
    small.h = like.h, small.w = like.w;
    small.row = like.w * block, small.plane = like.h * small.row, small.image = div_up(x.c, block) * small.plane;
    const int64_t blocks = div_up(x.c, block);
    const Share planes = share_of(x.n * blocks, team);
    for (int64_t plane = planes.begin; plane < planes.end; ++plane) {
        const float* from = x.data + plane / blocks * x.image + plane % blocks * x.plane;
        float* pixel = to + plane * small.plane;
        for (int64_t i = 0; i < small.h; ++i)
            for (int64_t j = 0; j < small.w; ++j, pixel += block)
                for (int lane = 0; lane < block; lane += vf_width)
                    vf_store(pixel + lane, vf_load(from + i * stride * x.row + j * stride * block + lane));
    }
    team.barrier();
    return small;
}

int64_t data_floats(const Problem& p) {
    const int64_t outs = p.out[0].dim[1], ins = p.in[0].dim[1];
    return padded_bias_size(outs) + pointwise_packed_size(outs, ins);
}
size_t forward_workspace(const Problem& p, int) {
    return static_cast<size_t>(data_floats(p) + gathered_floats(p, p.in[0], p.out[0])) * sizeof(float);
}
size_t dgrad_workspace(const Problem& p, int) { return static_cast<size_t>(data_floats(p)) * sizeof(float); }

void run_data(const KernelArgs& args, const Team& team, const FilterView& filters, PointwiseJob& job, const float* bias) {
    float* padded = static_cast<float*>(args.workspace);
    float* weights = padded + padded_bias_size(filters.outs);
    const Blocks out = blocks_of(args.out[0]);
    job.images = out.n;
    job.in_c = filters.ins;
    job.out_c = filters.outs;
    job.out_h = out.h;
    job.out_w = out.w;
    job.weights = weights;
    job.bias = padded;
    if (team.rank == 0)
        for (int64_t k = 0; k < padded_bias_size(filters.outs); ++k) padded[k] = bias && k < filters.outs ? bias[k] : 0.0f;
    PointwiseCut cuts[2];
    cut_pointwise_lines(job, cuts);
    const bool few = has_few_pixels(job, team);
    if (!few) pack_pointwise(filters, weights, team);
    team.barrier();
    few ? pointwise_by_panels(job, cuts, filters, weights, team) : pointwise_convolution(job, cuts, team);
}

// {h, w} of the smaller of the two images; without a stride its rows need no borders.
void set_pixels(PointwiseJob& job, const Blocks& image, int32_t stride) {
    job.lines = stride == 1 ? 1 : image.h;
    job.pixels = static_cast<int32_t>(stride == 1 ? image.h * image.w : image.w);
}

void run_forward(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    const Blocks out = blocks_of(args.out[0]);
    PointwiseJob job = {};
    float* gathered = static_cast<float*>(args.workspace) + data_floats(args);
    job.in = lines_of(gather_pixels(blocks_of(args.in[0]), out, conv.stride_h, gathered, team), 1);
    job.out = lines_of(out, 1);
    job.spread = 1;
    job.relu = conv.activation == Activation::relu;
    set_pixels(job, out, 1);
    const float* bias = has_operand(args.in, args.n_in, 2) ? static_cast<const float*>(args.in[2].data) : nullptr;
    run_data(args, team, forward_filters(args.in[1]), job, bias);
}

void run_dgrad(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    const Blocks dy = blocks_of(args.in[0]);
    PointwiseJob job = {};
    job.in = lines_of(dy, 1);
    job.out = lines_of(blocks_of(args.out[0]), conv.stride_h);
    job.spread = conv.stride_h;
    set_pixels(job, dy, conv.stride_h);
    run_data(args, team, dgrad_filters(args.in[1]), job, nullptr);
}

int64_t stack_size(const Problem& p) {
    int64_t levels = 2;
    for (int64_t leaves = p.leaves; leaves > 1; leaves /= 2) ++levels;
    return levels * block_sums;
}

size_t wgrad_workspace(const Problem& p, int threads) {
    return static_cast<size_t>(gathered_floats(p, p.in[0], p.in[1]) + threads * stack_size(p)) * sizeof(float);
}

void run_wgrad(const KernelArgs& args, const Team& team) noexcept {
    const Conv2d& conv = conv_of(args);
    PointwiseWgradJob job = {};
    float* gathered = static_cast<float*>(args.workspace);
    job.dy = blocks_of(args.in[1]);
    job.x = gather_pixels(blocks_of(args.in[0]), job.dy, conv.stride_h, gathered, team);
    job.step = args.step;
    job.dw = static_cast<float*>(args.out[0].data);
    job.stack = gathered + gathered_floats(args, args.in[0], args.in[1]) + team.rank * stack_size(args);
    job.pixels = static_cast<int32_t>(job.dy.h * job.dy.w);
    const int64_t tiles = div_up(job.x.c, inner_width);
    job.block_outputs =
        static_cast<int32_t>(block_sums / ((tiles < block_tiles ? tiles : block_tiles) * inner_width) / block * block);
    pointwise_wgrad(job, team);
    float* db = has_operand(args.out, args.n_out, 1) ? static_cast<float*>(args.out[1].data) : nullptr;
    bias_wgrad(job.dy, *args.step, db, team);
}

const Kernel rows[] = {
    {OpKind::conv2d, "pointwise", this_isa, in_f32<data_supports>, forward_workspace, run_forward},
    {OpKind::conv2d_dgrad, "pointwise", this_isa, in_f32<data_supports>, dgrad_workspace, run_dgrad},
    {OpKind::conv2d_wgrad, "pointwise", this_isa, in_f32<wgrad_supports>, wgrad_workspace, run_wgrad},
};

}  // namespace

KernelRows pointwise_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
