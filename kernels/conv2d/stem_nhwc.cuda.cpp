// "stem": a first layer of few channels, products in f32, from plain images to nhwc ones on a GPU, alone, with the
// statistics of a batch normalisation, and with a 2x2 max-pooling. The workspace of the statistics holds the two sums of
// each filter of each part of an image.
#include <iterator>

#include "kernels/batchnorm/nhwc_statistics.h"
#include "kernels/conv2d/stem_args.h"

namespace xbench {
namespace {

XB_NHWC_FUNCTION(forward, stem_nhwc, stem_forward);
XB_NHWC_FUNCTION(statistics, stem_nhwc, stem_statistics);
XB_NHWC_FUNCTION(pool, stem_nhwc, stem_pool);

StemShape shape_of(const Problem& p) {
    const KernelTensor& y = p.out[0];
    return stem_shape(conv_shape(attributes<Conv2d>(p), p.in[0], y), 1, y.dim[2], y.dim[3]);
}
StemShape pool_shape(const Problem& p) {
    KernelTensor y = p.out[0];
    y.dim[2] *= 2, y.dim[3] *= 2;
    return stem_shape(conv_shape(attributes<Conv2dPool>(p).conv, p.in[0], y), 2, p.out[0].dim[2], p.out[0].dim[3]);
}

Support takes(const Problem& p) {
    const Support general = takes_stem(p, attributes<Conv2d>(p), false);
    return general ? fits_stem(shape_of(p)) : general;
}
Support takes_pool(const Problem& p) {
    const auto& a = attributes<Conv2dPool>(p);
    if (a.r != 2 || a.s != 2) return refused("pooling window");
    const Support general = takes_stem(p, a.conv, false);
    return general ? fits_stem(pool_shape(p)) : general;
}

unsigned shared_bytes(const StemShape& s) {
    return static_cast<unsigned>(s.scratch_bytes + 16 * ((s.x_floats() + 3) / 4) + stem_filter_bytes(s.conv));
}
int relu_of(const Conv2d& a) { return a.activation == Activation::relu; }

void enqueue(const KernelArgs& args, CudaQueue& queue) noexcept {
    StemShape s = shape_of(args);
    s.scratch_bytes = stem_scratch(s, 2, 0, 0);
    queue.launch(stem_function(forward, s), stem_blocks(s, args.in[0].dim[0]), stem_threads(s), shared_bytes(s),
                 address<const float>(args.in[0]), address<const float>(args.in[1]),
                 address<const float>(args.in, args.n_in, 2), address<float>(args.out[0]), s,
                 relu_of(attributes<Conv2d>(args)));
}

size_t statistics_workspace(const Problem& p, int) {
    const StemShape s = shape_of(p);
    return sizeof(double) * 2 * static_cast<size_t>(p.in[0].dim[0] * s.walk.parts * s.conv.k);
}

// x, w, [b], running_mean -> y, sums
void enqueue_statistics(const KernelArgs& args, CudaQueue& queue) noexcept {
    StemShape s = shape_of(args);
    s.scratch_bytes = stem_scratch(s, 2, 2, sizeof(double));
    queue.launch(stem_function(statistics, s), stem_blocks(s, args.in[0].dim[0]), stem_threads(s), shared_bytes(s),
                 address<const float>(args.in[0]), address<const float>(args.in[1]),
                 address<const float>(args.in, args.n_in, 2), address<const float>(args.in[3]), address<float>(args.out[0]),
                 static_cast<double*>(args.workspace), s, relu_of(attributes<Conv2d>(args)));
    sum_parts(args, s.walk.channels, s.walk.parts, address<double>(args.out[1]), queue);
}

// x, w, [b] -> y, [index]
void enqueue_pool(const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto& a = attributes<Conv2dPool>(args);
    StemShape s = pool_shape(args);
    s.scratch_bytes = stem_scratch(s, 2, 0, 0);
    queue.launch(stem_function(pool, s), stem_blocks(s, args.in[0].dim[0]), stem_threads(s), shared_bytes(s),
                 address<const float>(args.in[0]), address<const float>(args.in[1]),
                 address<const float>(args.in, args.n_in, 2), address<float>(args.out[0]),
                 address<uint8_t>(args.out, args.n_out, 1), s, a.dropout, queue.step(), relu_of(a.conv));
}

const Kernel rows[] = {
    cuda_row(OpKind::conv2d, "stem", takes, enqueue),
    cuda_row(OpKind::conv2d_statistics, "stem", takes, enqueue_statistics, statistics_workspace),
    cuda_row(OpKind::conv2d_pool, "stem", takes_pool, enqueue_pool),
};

}  // namespace

KernelRows cuda_stem_nhwc_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
