// "simt": a batch normalisation in front of a max-pooling, plain f32 images on a GPU. The workspace of the statistics holds
// the two sums of each channel of each image.
#include "kernels/cuda/image_sums.h"
#include "kernels/cuda/row.h"
#include "kernels/pool2d/window_grid.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(normalise_pool, batchnorm_pool, normalise_pool);
XB_CUDA_FUNCTION(normalise_pool_2x2, batchnorm_pool, normalise_pool_2x2);
XB_CUDA_FUNCTION(pooled_statistics_by_warp, batchnorm_pool, pooled_statistics_by_warp);
XB_CUDA_FUNCTION(pooled_statistics_by_block, batchnorm_pool, pooled_statistics_by_block);
XB_CUDA_FUNCTION(sum_pooled_statistics, batchnorm_pool, sum_pooled_statistics);
XB_CUDA_FUNCTION(normalise_pool_gradient, batchnorm_pool, normalise_pool_gradient);
XB_CUDA_FUNCTION(normalise_pool_gradient_2x2, batchnorm_pool, normalise_pool_gradient_2x2);

constexpr unsigned threads = window_threads;
constexpr int most_pixels_of_a_warp = 1024;  // a larger channel of an image has a block of its own

bool is_halving(const BatchNormPool& a, const KernelTensor& x) { return a.r == 2 && a.s == 2 && has_aligned_pairs(x); }

void enqueue_apply(const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto& a = attributes<BatchNormPool>(args);
    const KernelTensor &x = args.in[0], &y = args.out[0];
    const bool halving = is_halving(a, x);
    const PoolShape shape = window_shape(x, y, elements_of_image(y), halving ? windows_of_thread : 1);
    queue.launch(halving ? normalise_pool_2x2 : normalise_pool, blocks_of(shape, x), {threads}, 0, address<const float>(x),
                 address<const float>(args.in[1]), address<const float>(args.in[2]), address<const float>(args.in[3]),
                 address<float>(y), address<uint8_t>(args.out, args.n_out, 1), address<float>(args.out, args.n_out, 2),
                 shape, a, queue.step());
}

size_t workspace(const Problem& problem, int) {
    return sizeof(double) * 2 * static_cast<size_t>(problem.in[0].dim[0] * problem.in[0].dim[1]);
}

void enqueue_statistics(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor& pooled = args.in[0];
    const auto *xhat = address<const float>(pooled), *dy = address<const float>(args.in[1]);
    const auto* index = address<const uint8_t>(args.in, args.n_in, 2);
    const int64_t planes = pooled.dim[0] * pooled.dim[1], width = 2 * pooled.dim[1];
    const int channels = static_cast<int>(pooled.dim[1]), pixels = static_cast<int>(pooled.dim[2] * pooled.dim[3]);
    const bool large = pixels > most_pixels_of_a_warp;
    const int vectors = pixels % 4 == 0 && are_vectors(xhat, dy, index);
    auto* partial = static_cast<double*>(args.workspace);
    queue.launch(large ? pooled_statistics_by_block : pooled_statistics_by_warp,
                 {large ? static_cast<unsigned>(planes) : blocks_for(planes, threads / 32)}, {threads}, 0, xhat, dy, index,
                 partial, planes, channels, pixels, 1.0f / (1.0f - attributes<BatchNormPool>(args).dropout.p), vectors);
    queue.launch(sum_pooled_statistics, {blocks_for(width, sum_columns)}, {sum_columns, sum_lanes}, 0,
                 image_partials(static_cast<const double*>(partial), width), queue.step(), address<double>(args.out[0]));
}

void enqueue_grad_input(const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto& a = attributes<BatchNormPool>(args);
    const KernelTensor &x = args.in[0], &dy = args.in[1];
    const bool halving = is_halving(a, x) && has_aligned_pairs(args.out[0]);
    const PoolShape shape =
        halving ? window_shape(x, dy, halving_windows(x), windows_of_thread) : window_shape(x, dy, elements_of_image(x), 1);
    queue.launch(halving ? normalise_pool_gradient_2x2 : normalise_pool_gradient, blocks_of(shape, x), {threads}, 0,
                 address<const float>(x), address<const float>(dy), address<const uint8_t>(args.in[2]),
                 address<const float>(args.in[3]), address<const float>(args.in[4]), address<const double>(args.in[5]),
                 address<float>(args.out[0]), shape, a, queue.step());
}

const Kernel rows[] = {
    cuda_row(OpKind::batchnorm_pool_apply, "simt", takes_images_of_windows, enqueue_apply),
    cuda_row(OpKind::batchnorm_pool_grad_statistics, "simt", takes_images_of_windows, enqueue_statistics, workspace),
    cuda_row(OpKind::batchnorm_pool_grad_input, "simt", takes_images_of_windows, enqueue_grad_input),
};

}  // namespace

KernelRows cuda_batchnorm_pool_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
