// "direct": 3x3 convolutions of stride 1 and the gradients of their inputs, plain f32 images on a GPU.
#include "kernels/conv2d/direct_args.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(forward_pad0, conv2d_direct, direct_forward_pad0);
XB_CUDA_FUNCTION(forward_pad1, conv2d_direct, direct_forward_pad1);
XB_CUDA_FUNCTION(forward_pad2, conv2d_direct, direct_forward_pad2);
XB_CUDA_FUNCTION(forward_pad0_staged, conv2d_direct, direct_forward_pad0_staged);
XB_CUDA_FUNCTION(forward_pad1_staged, conv2d_direct, direct_forward_pad1_staged);
XB_CUDA_FUNCTION(forward_pad2_staged, conv2d_direct, direct_forward_pad2_staged);
XB_CUDA_FUNCTION(dgrad_pad0, conv2d_direct, direct_dgrad_pad0);
XB_CUDA_FUNCTION(dgrad_pad1, conv2d_direct, direct_dgrad_pad1);
XB_CUDA_FUNCTION(dgrad_pad2, conv2d_direct, direct_dgrad_pad2);
XB_CUDA_FUNCTION(dgrad_pad0_staged, conv2d_direct, direct_dgrad_pad0_staged);
XB_CUDA_FUNCTION(dgrad_pad1_staged, conv2d_direct, direct_dgrad_pad1_staged);
XB_CUDA_FUNCTION(dgrad_pad2_staged, conv2d_direct, direct_dgrad_pad2_staged);
// By whether outputs are whole quads, and the padding.
constexpr CudaFunction forward_kernels[2][3] = {{forward_pad0_staged, forward_pad1_staged, forward_pad2_staged},
                                                {forward_pad0, forward_pad1, forward_pad2}};
constexpr CudaFunction dgrad_kernels[2][3] = {{dgrad_pad0_staged, dgrad_pad1_staged, dgrad_pad2_staged},
                                              {dgrad_pad0, dgrad_pad1, dgrad_pad2}};

ConvShape forward_shape(const Problem& p) { return conv_shape(attributes<Conv2d>(p), p.in[0], p.out[0]); }

// The convolution that makes dx from dy: the padding is what is left of the filter.
ConvShape dgrad_shape(const Problem& p) {
    Conv2d a = attributes<Conv2d>(p);
    a.pad_h = a.r - 1 - a.pad_h;
    a.pad_w = a.s - 1 - a.pad_w;
    return conv_shape(a, p.in[0], p.out[0]);
}

Support takes_forward(const Problem& p) {
    const Support general = both(takes_convolution(p), is_direct(attributes<Conv2d>(p)));
    return general ? fits_direct(forward_shape(p)) : general;
}
Support takes_dgrad(const Problem& p) {
    const Support general = both(takes_convolution(p), is_direct(attributes<Conv2d>(p)));
    return general ? fits_direct(dgrad_shape(p)) : general;
}

// x, w, [b] -> y
void enqueue_forward(const KernelArgs& args, CudaQueue& queue) noexcept {
    const ConvShape s = forward_shape(args);
    const auto* x = address<const float>(args.in[0]);
    auto* y = address<float>(args.out[0]);
    DirectTile t = direct_tile(s);
    set_vectors(t, s, x, y);
    const Extent blocks = direct_blocks(t, s, args.in[0].dim[0], queue.multiprocessors());
    queue.launch(forward_kernels[t.y_vectors][s.pad_h], blocks, {static_cast<unsigned>(t.threads())}, shared_bytes(t, s), x,
                 address<const float>(args.in[1]), address<const float>(args.in, args.n_in, 2), y, s, t,
                 int{attributes<Conv2d>(args).activation == Activation::relu});
}

// dy, w -> dx
void enqueue_dgrad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const ConvShape s = dgrad_shape(args);
    const auto* dy = address<const float>(args.in[0]);
    auto* dx = address<float>(args.out[0]);
    DirectTile t = direct_tile(s);
    set_vectors(t, s, dy, dx);
    const Extent blocks = direct_blocks(t, s, args.in[0].dim[0], queue.multiprocessors());
    queue.launch(dgrad_kernels[t.y_vectors][s.pad_h], blocks, {static_cast<unsigned>(t.threads())}, shared_bytes(t, s), dy,
                 address<const float>(args.in[1]), dx, s, t);
}

const Kernel rows[] = {
    cuda_row(OpKind::conv2d, "direct", takes_forward, enqueue_forward),
    cuda_row(OpKind::conv2d_dgrad, "direct", takes_dgrad, enqueue_dgrad),
};

}  // namespace

KernelRows cuda_conv2d_direct_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
