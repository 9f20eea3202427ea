// "direct": the gradients of a first layer's 3x3 filters and bias behind a 2x2 max-pooling, with or without a batch
// normalisation, plain f32 images on a GPU. The workspace is that of conv2d_direct_wgrad.cuda.cpp.
#include "kernels/conv2d/direct_wgrad_args.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(pool_pad0, conv2d_direct_wgrad_fused, direct_pool_wgrad_pad0);
XB_CUDA_FUNCTION(pool_pad1, conv2d_direct_wgrad_fused, direct_pool_wgrad_pad1);
XB_CUDA_FUNCTION(pool_pad2, conv2d_direct_wgrad_fused, direct_pool_wgrad_pad2);
XB_CUDA_FUNCTION(batchnorm_pad0, conv2d_direct_wgrad_fused, direct_batchnorm_pool_wgrad_pad0);
XB_CUDA_FUNCTION(batchnorm_pad1, conv2d_direct_wgrad_fused, direct_batchnorm_pool_wgrad_pad1);
XB_CUDA_FUNCTION(batchnorm_pad2, conv2d_direct_wgrad_fused, direct_batchnorm_pool_wgrad_pad2);
XB_CUDA_FUNCTION(finish, conv2d_direct_wgrad, direct_wgrad_finish);
constexpr CudaFunction pool_by_pad[] = {pool_pad0, pool_pad1, pool_pad2};
constexpr CudaFunction batchnorm_by_pad[] = {batchnorm_pad0, batchnorm_pad1, batchnorm_pad2};

Support takes(const Problem& p, const Conv2d& conv, int r, int s) {
    if (r != 2 || s != 2) return refused("pooling window");
    return both(takes_convolution(p), is_direct(conv));
}

// The rows of dy that windows cover; the others are zero.
ConvShape pool_shape(const Problem& p) {
    KernelTensor y = p.in[1];
    y.dim[2] *= 2;
    y.dim[3] *= 2;
    return conv_shape(attributes<Conv2dPool>(p).conv, p.in[0], y);
}
Support takes_pool(const Problem& p) {
    const auto& a = attributes<Conv2dPool>(p);
    const Support general = takes(p, a.conv, a.r, a.s);
    return general ? fits_wgrad(pool_shape(p)) : general;
}
size_t pool_workspace(const Problem& p, int) { return wgrad_workspace(pool_shape(p), p.in[0].dim[0], p.leaves); }

// x, dy, index -> dw, [db]
void enqueue_pool(const KernelArgs& args, CudaQueue& queue) noexcept {
    const ConvShape s = pool_shape(args);
    const auto* x = address<const float>(args.in[0]);
    WgradTile t = wgrad_tile(s);
    t.x_vectors = s.w % 4 == 0 && are_vectors(x);
    queue.launch(pool_by_pad[s.pad_h], wgrad_blocks(t, args.in[0].dim[0], args.leaves), {static_cast<unsigned>(t.threads())},
                 static_cast<unsigned>(4 * t.shared_floats()), x, address<const float>(args.in[1]),
                 address<const uint8_t>(args.in[2]), static_cast<float*>(args.workspace), s, t, s.p / 2, s.q / 2,
                 1.0f / (1.0f - attributes<Conv2dPool>(args).dropout.p), queue.step());
    finish_wgrad(finish, args, s, t, queue);
}

ConvShape batchnorm_shape(const Problem& p) { return conv_shape(attributes<Conv2dBatchNormPool>(p).conv, p.in[0], p.in[1]); }

Support takes_batchnorm(const Problem& p) {
    const auto& a = attributes<Conv2dBatchNormPool>(p);
    const Support general = takes(p, a.conv, a.pool.r, a.pool.s);
    return general ? fits_wgrad(batchnorm_shape(p)) : general;
}
size_t batchnorm_workspace(const Problem& p, int) { return wgrad_workspace(batchnorm_shape(p), p.in[0].dim[0], p.leaves); }

// x, y, dy, index, mean_rstd, gamma, sums -> dw, [db]
void enqueue_batchnorm(const KernelArgs& args, CudaQueue& queue) noexcept {
    const ConvShape s = batchnorm_shape(args);
    const auto *x = address<const float>(args.in[0]), *y = address<const float>(args.in[1]);
    WgradTile t = wgrad_tile(s);
    t.x_vectors = s.w % 4 == 0 && are_vectors(x);
    t.dy_vectors = s.q % 2 == 0 && are_vectors(y);  // pairs of y
    queue.launch(batchnorm_by_pad[s.pad_h], wgrad_blocks(t, args.in[0].dim[0], args.leaves),
                 {static_cast<unsigned>(t.threads())}, static_cast<unsigned>(4 * t.shared_floats()), x, y,
                 address<const float>(args.in[2]), address<const uint8_t>(args.in[3]), address<const float>(args.in[4]),
                 address<const float>(args.in[5]), address<const double>(args.in[6]), static_cast<float*>(args.workspace), s,
                 t, static_cast<int>(args.in[2].dim[2]), static_cast<int>(args.in[2].dim[3]),
                 attributes<Conv2dBatchNormPool>(args).pool, queue.step());
    finish_wgrad(finish, args, s, t, queue);
}

const Kernel rows[] = {
    cuda_row(OpKind::conv2d_pool_wgrad, "direct", takes_pool, enqueue_pool, pool_workspace),
    cuda_row(OpKind::conv2d_batchnorm_pool_wgrad, "direct", takes_batchnorm, enqueue_batchnorm, batchnorm_workspace),
};

}  // namespace

KernelRows cuda_conv2d_direct_wgrad_fused_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
