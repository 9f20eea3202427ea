// "direct": the gradients of 3x3 filters of stride 1 and of the bias, plain f32 images on a GPU. The workspace holds partial
// sums of parts of images or of leaves.
#include "kernels/conv2d/direct_wgrad_args.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(wgrad_pad0, conv2d_direct_wgrad, direct_wgrad_pad0);
XB_CUDA_FUNCTION(wgrad_pad1, conv2d_direct_wgrad, direct_wgrad_pad1);
XB_CUDA_FUNCTION(wgrad_pad2, conv2d_direct_wgrad, direct_wgrad_pad2);
XB_CUDA_FUNCTION(finish, conv2d_direct_wgrad, direct_wgrad_finish);
constexpr CudaFunction wgrad_by_pad[] = {wgrad_pad0, wgrad_pad1, wgrad_pad2};

ConvShape shape_of(const Problem& p) { return conv_shape(attributes<Conv2d>(p), p.in[0], p.in[1]); }

Support takes(const Problem& p) {
    const Support general = both(takes_convolution(p), is_direct(attributes<Conv2d>(p)));
    return general ? fits_wgrad(shape_of(p)) : general;
}

size_t workspace(const Problem& p, int) { return wgrad_workspace(shape_of(p), p.in[0].dim[0], p.leaves); }

// x, dy -> dw, [db]
void enqueue(const KernelArgs& args, CudaQueue& queue) noexcept {
    const ConvShape s = shape_of(args);
    const auto *x = address<const float>(args.in[0]), *dy = address<const float>(args.in[1]);
    WgradTile t = wgrad_tile(s);
    t.x_vectors = s.w % 4 == 0 && are_vectors(x);
    t.dy_vectors = s.q % 4 == 0 && are_vectors(dy);
    queue.launch(wgrad_by_pad[s.pad_h], wgrad_blocks(t, args.in[0].dim[0], args.leaves),
                 {static_cast<unsigned>(t.threads())}, static_cast<unsigned>(4 * t.shared_floats()), x, dy,
                 static_cast<float*>(args.workspace), s, t, queue.step());
    finish_wgrad(finish, args, s, t, queue);
}

const Kernel rows[] = {cuda_row(OpKind::conv2d_wgrad, "direct", takes, enqueue, workspace)};

}  // namespace

KernelRows cuda_conv2d_direct_wgrad_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
