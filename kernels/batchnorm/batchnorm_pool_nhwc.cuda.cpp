// "nhwc": a batch normalisation in front of a max-pooling of f32 images in nhwc on a GPU.
#include <iterator>

#include "kernels/batchnorm/nhwc_statistics.h"
#include "kernels/batchnorm/pooled_outputs.h"
#include "kernels/pool2d/pool_shape.h"

namespace xbench {
namespace {

XB_NHWC_FUNCTION(pooled_statistics, batchnorm_pool_nhwc, pooled_statistics_nhwc);
XB_NHWC_FUNCTION(normalise_pool, batchnorm_pool_nhwc, normalise_pool_nhwc);
XB_NHWC_FUNCTION(normalise_pool_gradient, batchnorm_pool_nhwc, normalise_pool_gradient_nhwc);

// `x` and `y` as the pooling forward has them.
PoolShape pool_shape(const KernelTensor& x, const KernelTensor& y) {
    const auto size = [](int64_t value) { return static_cast<int32_t>(value); };
    return {size(x.dim[1]), size(x.dim[2]), size(x.dim[3]), size(y.dim[2]), size(y.dim[3]), 0};
}

void enqueue_statistics(const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto *xhat = address<const float>(args.in[0]), *dy = address<const float>(args.in[1]);
    const NhwcLaunch launch = launch_of_sums(args.in[0]);
    queue.launch(launch.of(pooled_statistics), launch.blocks, launch.threads, launch.shared_bytes(0, 2), xhat, dy,
                 address<const uint8_t>(args.in, args.n_in, 2), static_cast<double*>(args.workspace),
                 1.0f / (1.0f - attributes<BatchNormPool>(args).dropout.p), launch.walk);
    sum_parts(args, launch.walk.channels, launch.walk.parts, address<double>(args.out[0]), queue);
}

void enqueue_apply(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor &images = args.in[0], &pooled = args.out[0];
    const auto* x = address<const float>(images);
    const PooledOutputs to{address<float>(pooled), address<uint8_t>(args.out, args.n_out, 1),
                           address<float>(args.out, args.n_out, 2)};
    const NhwcLaunch launch = nhwc_launch(images.dim[0], images.dim[1], pooled.dim[2] * pooled.dim[3]);
    queue.launch(launch.of(normalise_pool), launch.blocks, launch.threads, launch.shared_bytes(4, 0), x,
                 address<const float>(args.in[1]), address<const float>(args.in[2]), address<const float>(args.in[3]), to,
                 launch.walk, pool_shape(images, pooled), attributes<BatchNormPool>(args), queue.step());
}

void enqueue_grad_input(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor &images = args.in[0], &pooled = args.in[1];
    const auto& a = attributes<BatchNormPool>(args);
    const auto *x = address<const float>(images), *dy = address<const float>(pooled);
    const auto* index = address<const uint8_t>(args.in[2]);
    auto* dx = address<float>(args.out[0]);
    const int64_t windows = int64_t{blocks_for(images.dim[2], a.r)} * blocks_for(images.dim[3], a.s);
    const NhwcLaunch launch = nhwc_launch(images.dim[0], images.dim[1], windows);
    queue.launch(launch.of(normalise_pool_gradient), launch.blocks, launch.threads, launch.shared_bytes(5, 0), x, dy, index,
                 address<const float>(args.in[3]), address<const float>(args.in[4]), address<const double>(args.in[5]), dx,
                 launch.walk, pool_shape(images, pooled), a, queue.step());
}

const Kernel rows[] = {
    cuda_row(OpKind::batchnorm_pool_apply, "nhwc", nhwc_f32_input, enqueue_apply),
    cuda_row(OpKind::batchnorm_pool_grad_statistics, "nhwc", nhwc_f32_input, enqueue_statistics, workspace_of_sums),
    cuda_row(OpKind::batchnorm_pool_grad_input, "nhwc", nhwc_f32_input, enqueue_grad_input),
};

}  // namespace

KernelRows cuda_batchnorm_pool_nhwc_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
