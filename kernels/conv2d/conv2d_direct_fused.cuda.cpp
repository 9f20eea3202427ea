// "direct": 3x3 convolutions of stride 1 with the 2x2 max-pooling or the statistics that follow them, plain f32 images on a
// GPU. The workspace of the statistics holds the two sums of each filter of each tile of an image.
#include "kernels/conv2d/direct_args.h"
#include "kernels/cuda/image_sums.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(pool_pad0, conv2d_direct_fused, direct_pool_pad0);
XB_CUDA_FUNCTION(pool_pad1, conv2d_direct_fused, direct_pool_pad1);
XB_CUDA_FUNCTION(pool_pad2, conv2d_direct_fused, direct_pool_pad2);
XB_CUDA_FUNCTION(statistics_pad0, conv2d_direct_fused, direct_statistics_pad0);
XB_CUDA_FUNCTION(statistics_pad1, conv2d_direct_fused, direct_statistics_pad1);
XB_CUDA_FUNCTION(statistics_pad2, conv2d_direct_fused, direct_statistics_pad2);
XB_CUDA_FUNCTION(sum_tiles, conv2d_direct_fused, sum_tiles);
constexpr CudaFunction pool_by_pad[] = {pool_pad0, pool_pad1, pool_pad2};
constexpr CudaFunction statistics_by_pad[] = {statistics_pad0, statistics_pad1, statistics_pad2};

// The convolution's own output is no operand of conv2d_pool.
ConvShape pool_shape(const Problem& p) {
    const Conv2d& a = attributes<Conv2dPool>(p).conv;
    KernelTensor y = p.out[0];
    y.dim[2] = p.in[0].dim[2] + 2 * a.pad_h - 2;
    y.dim[3] = p.in[0].dim[3] + 2 * a.pad_w - 2;
    return conv_shape(a, p.in[0], y);
}

Support takes_pool(const Problem& p) {
    const auto& a = attributes<Conv2dPool>(p);
    if (a.r != 2 || a.s != 2) return refused("pooling window");
    const Support general = both(takes_convolution(p), is_direct(a.conv));
    return general ? fits_direct(pool_shape(p)) : general;
}

// x, w, [b] -> y, [index]
void enqueue_pool(const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto& a = attributes<Conv2dPool>(args);
    const ConvShape s = pool_shape(args);
    const auto* x = address<const float>(args.in[0]);
    auto* y = address<float>(args.out[0]);
    DirectTile t = direct_tile(s);
    t.x_vectors = s.w % 4 == 0 && are_vectors(x);
    const Extent blocks = direct_blocks(t, s, args.in[0].dim[0], queue.multiprocessors());
    queue.launch(pool_by_pad[s.pad_h], blocks, {static_cast<unsigned>(t.threads())}, shared_bytes(t, s), x,
                 address<const float>(args.in[1]), address<const float>(args.in, args.n_in, 2), y,
                 address<uint8_t>(args.out, args.n_out, 1), s, t, a.dropout, queue.step(),
                 int{a.conv.activation == Activation::relu}, int{s.q / 2 % 2 == 0 && are_vectors(y)});
}

ConvShape statistics_shape(const Problem& p) { return conv_shape(attributes<Conv2d>(p), p.in[0], p.out[0]); }

Support takes_statistics(const Problem& p) {
    const Support general = both(takes_convolution(p), is_direct(attributes<Conv2d>(p)));
    return general ? fits_direct(statistics_shape(p)) : general;
}

size_t statistics_workspace(const Problem& p, int) {
    const DirectTile t = direct_tile(statistics_shape(p));
    return sizeof(double) * 2 * static_cast<size_t>(p.out[0].dim[0] * t.tiles_across * t.tiles_down * p.out[0].dim[1]);
}

// x, w, [b], running_mean -> y, sums
void enqueue_statistics(const KernelArgs& args, CudaQueue& queue) noexcept {
    const ConvShape s = statistics_shape(args);
    const auto* x = address<const float>(args.in[0]);
    auto* y = address<float>(args.out[0]);
    auto* partial = static_cast<double*>(args.workspace);
    DirectTile t = direct_tile(s);
    set_vectors(t, s, x, y);
    const Extent blocks = direct_blocks(t, s, args.in[0].dim[0], queue.multiprocessors());
    queue.launch(statistics_by_pad[s.pad_h], blocks, {static_cast<unsigned>(t.threads())}, shared_bytes(t, s), x,
                 address<const float>(args.in[1]), address<const float>(args.in, args.n_in, 2),
                 address<const float>(args.in[3]), y, partial, s, t,
                 int{attributes<Conv2d>(args).activation == Activation::relu});
    const int64_t width = 2 * int64_t{s.k};
    queue.launch(sum_tiles, {blocks_for(width, sum_columns)}, {sum_columns, sum_lanes}, 0,
                 image_partials(static_cast<const double*>(partial), width, t.tiles_across * t.tiles_down), queue.step(),
                 address<double>(args.out[1]));
}

const Kernel rows[] = {
    cuda_row(OpKind::conv2d_pool, "direct", takes_pool, enqueue_pool),
    cuda_row(OpKind::conv2d_statistics, "direct", takes_statistics, enqueue_statistics, statistics_workspace),
};

}  // namespace

KernelRows cuda_conv2d_direct_fused_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
