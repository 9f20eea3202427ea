// "nhwc": the parts of a batch normalisation of f32 images in nhwc on a GPU, alone and in front of a max-pooling. The
// workspace of the statistics holds the two sums of each channel of each part of an image.
#include "kernels/batchnorm/nhwc_shape.h"
#include "kernels/cuda/image_sums.h"
#include "kernels/cuda/nhwc_row.h"
#include "kernels/pool2d/pool_shape.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(statistics_nhwc, batchnorm_nhwc, statistics_nhwc);
XB_CUDA_FUNCTION(gradient_statistics_nhwc, batchnorm_nhwc, gradient_statistics_nhwc);
XB_CUDA_FUNCTION(pooled_statistics_nhwc, batchnorm_nhwc, pooled_statistics_nhwc);
XB_CUDA_FUNCTION(normalise_nhwc, batchnorm_nhwc, normalise_nhwc);
XB_CUDA_FUNCTION(normalisation_gradient_nhwc, batchnorm_nhwc, normalisation_gradient_nhwc);
XB_CUDA_FUNCTION(normalise_pool_nhwc, batchnorm_nhwc, normalise_pool_nhwc);
XB_CUDA_FUNCTION(normalise_pool_gradient_nhwc, batchnorm_nhwc, normalise_pool_gradient_nhwc);
XB_CUDA_FUNCTION(sum_statistics, batchnorm, sum_statistics);

constexpr unsigned threads = 256;

NhwcShape shape_of(const KernelTensor& x) {
    return nhwc_shape(x.dim[1], x.dim[2] * x.dim[3], blocks_for(elements_of_image(x), threads));
}

size_t workspace(const Problem& problem, int) {
    const KernelTensor& x = problem.in[0];
    return sizeof(double) * 2 * static_cast<size_t>(x.dim[0] * x.dim[1] * shape_of(x).parts);
}

// A block for each part of each image and 32 channels.
Extent blocks_of_parts(const KernelTensor& x, const NhwcShape& shape) {
    return {static_cast<unsigned>(x.dim[0] * shape.parts), blocks_for(shape.channels, nhwc_columns)};
}
constexpr Extent threads_of_parts{nhwc_columns, nhwc_rows};
Extent blocks_of_elements(const KernelTensor& x, const NhwcShape& shape) {
    return {static_cast<unsigned>(x.dim[0]) * shape.blocks_of_image};
}

void sum_images(const KernelArgs& args, const NhwcShape& shape, CudaQueue& queue) noexcept {
    const int64_t width = 2 * int64_t{shape.channels};
    queue.launch(sum_statistics, {blocks_for(width, sum_columns)}, {sum_columns, sum_lanes}, 0,
                 image_partials(static_cast<const double*>(args.workspace), width, shape.parts), queue.step(),
                 address<double>(args.out[0]));
}

void enqueue_statistics(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor& x = args.in[0];
    const NhwcShape shape = shape_of(x);
    queue.launch(statistics_nhwc, blocks_of_parts(x, shape), threads_of_parts, 0, address<const float>(x),
                 address<const float>(args.in[1]), static_cast<double*>(args.workspace), shape);
    sum_images(args, shape, queue);
}

void enqueue_grad_statistics(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor& x = args.in[0];
    const NhwcShape shape = shape_of(x);
    queue.launch(gradient_statistics_nhwc, blocks_of_parts(x, shape), threads_of_parts, 0, address<const float>(x),
                 address<const float>(args.in[1]), address<const float>(args.in[2]),
                 address<const float>(args.in, args.n_in, 3), static_cast<double*>(args.workspace), shape);
    sum_images(args, shape, queue);
}

void enqueue_pooled_statistics(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor& xhat = args.in[0];
    const NhwcShape shape = shape_of(xhat);
    queue.launch(pooled_statistics_nhwc, blocks_of_parts(xhat, shape), threads_of_parts, 0, address<const float>(xhat),
                 address<const float>(args.in[1]), address<const uint8_t>(args.in, args.n_in, 2),
                 static_cast<double*>(args.workspace), 1.0f / (1.0f - attributes<BatchNormPool>(args).dropout.p), shape);
    sum_images(args, shape, queue);
}

void enqueue_apply(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor& x = args.in[0];
    const NhwcShape shape = shape_of(x);
    queue.launch(normalise_nhwc, blocks_of_elements(x, shape), {threads}, 0, address<const float>(x),
                 address<const float>(args.in[1]), address<const float>(args.in[2]), address<const float>(args.in[3]),
                 address<float>(args.out[0]), shape, int{attributes<BatchNorm>(args).activation == Activation::relu});
}

void enqueue_grad_input(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor& x = args.in[0];
    const NhwcShape shape = shape_of(x);
    queue.launch(normalisation_gradient_nhwc, blocks_of_elements(x, shape), {threads}, 0, address<const float>(x),
                 address<const float>(args.in[1]), address<const float>(args.in[2]), address<const float>(args.in[3]),
                 address<const double>(args.in[4]), address<const float>(args.in, args.n_in, 5), address<float>(args.out[0]),
                 shape, attributes<BatchNorm>(args), queue.step());
}

// `x` and `y` as the pooling forward has them; a thread takes one of `items` of an image.
PoolShape pool_shape(const KernelTensor& x, const KernelTensor& y, int64_t items) {
    const auto size = [](int64_t value) { return static_cast<int32_t>(value); };
    return {size(x.dim[1]), size(x.dim[2]), size(x.dim[3]), size(y.dim[2]), size(y.dim[3]), blocks_for(items, threads)};
}

void enqueue_pool_apply(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor &x = args.in[0], &y = args.out[0];
    const PoolShape shape = pool_shape(x, y, elements_of_image(y));
    queue.launch(normalise_pool_nhwc, {static_cast<unsigned>(x.dim[0]) * shape.blocks_of_image}, {threads}, 0,
                 address<const float>(x), address<const float>(args.in[1]), address<const float>(args.in[2]),
                 address<const float>(args.in[3]), address<float>(y), address<uint8_t>(args.out, args.n_out, 1),
                 address<float>(args.out, args.n_out, 2), shape, attributes<BatchNormPool>(args), queue.step());
}

void enqueue_pool_grad_input(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor &x = args.in[0], &dy = args.in[1];
    const PoolShape shape = pool_shape(x, dy, elements_of_image(x));
    queue.launch(normalise_pool_gradient_nhwc, {static_cast<unsigned>(x.dim[0]) * shape.blocks_of_image}, {threads}, 0,
                 address<const float>(x), address<const float>(dy), address<const uint8_t>(args.in[2]),
                 address<const float>(args.in[3]), address<const float>(args.in[4]), address<const double>(args.in[5]),
                 address<float>(args.out[0]), shape, attributes<BatchNormPool>(args), queue.step());
}

const Kernel rows[] = {
    cuda_row(OpKind::batchnorm_statistics, "nhwc", nhwc_f32_input, enqueue_statistics, workspace),
    cuda_row(OpKind::batchnorm_apply, "nhwc", nhwc_f32_input, enqueue_apply),
    cuda_row(OpKind::batchnorm_grad_statistics, "nhwc", nhwc_f32_input, enqueue_grad_statistics, workspace),
    cuda_row(OpKind::batchnorm_grad_input, "nhwc", nhwc_f32_input, enqueue_grad_input),
    cuda_row(OpKind::batchnorm_pool_apply, "nhwc", nhwc_f32_input, enqueue_pool_apply),
    cuda_row(OpKind::batchnorm_pool_grad_statistics, "nhwc", nhwc_f32_input, enqueue_pooled_statistics, workspace),
    cuda_row(OpKind::batchnorm_pool_grad_input, "nhwc", nhwc_f32_input, enqueue_pool_grad_input),
};

}  // namespace

KernelRows cuda_batchnorm_nhwc_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
