// "stem": the gradients of a first layer's filters and bias of plain images and dy in nhwc on a GPU, alone and behind a 2x2
// max-pooling, with or without a batch normalisation. The workspace holds the partial sums of parts of images.
#include <iterator>

#include "kernels/conv2d/stem_args.h"
#include "kernels/cuda/image_sums.h"

namespace xbench {
namespace {

XB_NHWC_FUNCTION(wgrad, stem_wgrad_nhwc, stem_wgrad);
XB_NHWC_FUNCTION(pool_wgrad, stem_wgrad_nhwc, stem_pool_wgrad);
XB_NHWC_FUNCTION(batchnorm_pool_wgrad, stem_wgrad_nhwc, stem_batchnorm_pool_wgrad);
XB_CUDA_FUNCTION(finish, stem_wgrad_nhwc, finish_stem);

// Sums of nine elements for each filter of each thread.
unsigned set_shared(StemShape& s, int fields) {
    s.scratch_bytes = stem_scratch(s, fields, 9, sizeof(float));
    return static_cast<unsigned>(s.scratch_bytes + 4 * s.x_floats());
}

size_t workspace_of(const Problem& p, const StemShape& s) {
    return sizeof(float) * static_cast<size_t>(p.in[0].dim[0] * s.walk.parts * s.width);
}

void finish_sums(const KernelArgs& args, const StemShape& s, CudaQueue& queue) noexcept {
    queue.launch(finish, {blocks_for(s.width, sum_columns)}, {sum_columns, sum_lanes}, 0,
                 image_partials(static_cast<const float*>(args.workspace), s.width, s.walk.parts), queue.step(),
                 address<float>(args.out[0]), address<float>(args.out, args.n_out, 1), int64_t{s.conv.k} * s.conv.depth());
}

// ---- x, dy -> dw, [db]

StemShape shape_of(const Problem& p) {
    const KernelTensor& dy = p.in[1];
    return stem_shape(conv_shape(attributes<Conv2d>(p), p.in[0], dy), 1, dy.dim[2], dy.dim[3]);
}
Support takes(const Problem& p) {
    const Support general = takes_stem(p, attributes<Conv2d>(p), true);
    return general ? fits_stem(shape_of(p)) : general;
}
size_t workspace(const Problem& p, int) { return workspace_of(p, shape_of(p)); }

void enqueue(const KernelArgs& args, CudaQueue& queue) noexcept {
    StemShape s = shape_of(args);
    const unsigned bytes = set_shared(s, 0);
    queue.launch(stem_function(wgrad, s), stem_blocks(s, args.in[0].dim[0]), stem_threads(s), bytes,
                 address<const float>(args.in[0]), address<const float>(args.in[1]), static_cast<float*>(args.workspace), s);
    finish_sums(args, s, queue);
}

// ---- x, dy, index -> dw, [db]

// Pixels that no window covers have no gradient.
StemShape pool_shape(const Problem& p) {
    KernelTensor y = p.in[1];
    y.dim[2] *= 2, y.dim[3] *= 2;
    return stem_shape(conv_shape(attributes<Conv2dPool>(p).conv, p.in[0], y), 2, p.in[1].dim[2], p.in[1].dim[3]);
}
Support takes_pool(const Problem& p) {
    const auto& a = attributes<Conv2dPool>(p);
    if (a.r != 2 || a.s != 2) return refused("pooling window");
    const Support general = takes_stem(p, a.conv, true);
    return general ? fits_stem(pool_shape(p)) : general;
}
size_t pool_workspace(const Problem& p, int) { return workspace_of(p, pool_shape(p)); }

void enqueue_pool(const KernelArgs& args, CudaQueue& queue) noexcept {
    StemShape s = pool_shape(args);
    const KernelTensor& dy = args.in[1];
    const unsigned bytes = set_shared(s, 0);
    queue.launch(stem_function(pool_wgrad, s), stem_blocks(s, args.in[0].dim[0]), stem_threads(s), bytes,
                 address<const float>(args.in[0]), address<const float>(dy), address<const uint8_t>(args.in[2]),
                 static_cast<float*>(args.workspace), s, static_cast<int>(dy.dim[2]), static_cast<int>(dy.dim[3]),
                 1.0f / (1.0f - attributes<Conv2dPool>(args).dropout.p));
    finish_sums(args, s, queue);
}

// ---- x, y, dy, index, mean_rstd, gamma, sums -> dw, [db]

StemShape normalised_shape(const Problem& p) {
    const KernelTensor& y = p.in[1];
    const ConvShape conv = conv_shape(attributes<Conv2dBatchNormPool>(p).conv, p.in[0], y);
    return stem_shape(conv, 2, (y.dim[2] + 1) / 2, (y.dim[3] + 1) / 2);
}
Support takes_normalised(const Problem& p) {
    const auto& a = attributes<Conv2dBatchNormPool>(p);
    if (a.pool.r != 2 || a.pool.s != 2) return refused("pooling window");
    const Support general = takes_stem(p, a.conv, true);
    return general ? fits_stem(normalised_shape(p)) : general;
}
size_t normalised_workspace(const Problem& p, int) { return workspace_of(p, normalised_shape(p)); }

void enqueue_normalised(const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto& a = attributes<Conv2dBatchNormPool>(args);
    StemShape s = normalised_shape(args);
    const KernelTensor& dy = args.in[2];
    const unsigned bytes = set_shared(s, 5);
    queue.launch(stem_function(batchnorm_pool_wgrad, s), stem_blocks(s, args.in[0].dim[0]), stem_threads(s), bytes,
                 address<const float>(args.in[0]), address<const float>(args.in[1]), address<const float>(dy),
                 address<const uint8_t>(args.in[3]), address<const float>(args.in[4]), address<const float>(args.in[5]),
                 address<const double>(args.in[6]), static_cast<float*>(args.workspace), s, static_cast<int>(dy.dim[2]),
                 static_cast<int>(dy.dim[3]), 1.0f / (1.0f - a.pool.dropout.p), a.pool.norm, queue.step());
    finish_sums(args, s, queue);
}

const Kernel rows[] = {
    cuda_row(OpKind::conv2d_wgrad, "stem", takes, enqueue, workspace),
    cuda_row(OpKind::conv2d_pool_wgrad, "stem", takes_pool, enqueue_pool, pool_workspace),
    cuda_row(OpKind::conv2d_batchnorm_pool_wgrad, "stem", takes_normalised, enqueue_normalised, normalised_workspace),
};

}  // namespace

KernelRows cuda_stem_wgrad_nhwc_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
