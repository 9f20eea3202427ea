// "nhwc": the parts of a batch normalisation of f32 images in nhwc on a GPU. The workspace of the statistics holds the two
// sums of each channel of each part of an image.
#include <iterator>

#include "kernels/batchnorm/nhwc_statistics.h"

namespace xbench {
namespace {

XB_NHWC_FUNCTION(statistics, batchnorm_nhwc, statistics_nhwc);
XB_NHWC_FUNCTION(gradient_statistics, batchnorm_nhwc, gradient_statistics_nhwc);
XB_NHWC_FUNCTION(normalise, batchnorm_nhwc, normalise_nhwc);
XB_NHWC_FUNCTION(normalisation_gradient, batchnorm_nhwc, normalisation_gradient_nhwc);

int64_t pixels_of(const KernelTensor& x) { return x.dim[2] * x.dim[3]; }

void enqueue_statistics(const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto* x = address<const float>(args.in[0]);
    const NhwcLaunch launch = launch_of_sums(args.in[0]);
    queue.launch(launch.of(statistics), launch.blocks, launch.threads, launch.shared_bytes(1, 2), x,
                 address<const float>(args.in[1]), static_cast<double*>(args.workspace), launch.walk);
    sum_parts(args, launch.walk.channels, launch.walk.parts, address<double>(args.out[0]), queue);
}

void enqueue_grad_statistics(const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto *x = address<const float>(args.in[0]), *dy = address<const float>(args.in[1]),
               *y = address<const float>(args.in, args.n_in, 3);
    const NhwcLaunch launch = launch_of_sums(args.in[0]);
    queue.launch(launch.of(gradient_statistics), launch.blocks, launch.threads, launch.shared_bytes(2, 2), x, dy,
                 address<const float>(args.in[2]), y, static_cast<double*>(args.workspace), launch.walk);
    sum_parts(args, launch.walk.channels, launch.walk.parts, address<double>(args.out[0]), queue);
}

void enqueue_apply(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor& images = args.in[0];
    const auto* x = address<const float>(images);
    auto* y = address<float>(args.out[0]);
    const NhwcLaunch launch = nhwc_launch(images.dim[0], images.dim[1], pixels_of(images));
    queue.launch(launch.of(normalise), launch.blocks, launch.threads, launch.shared_bytes(3, 0), x,
                 address<const float>(args.in[1]), address<const float>(args.in[2]), address<const float>(args.in[3]), y,
                 launch.walk, int{attributes<BatchNorm>(args).activation == Activation::relu});
}

void enqueue_grad_input(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor& images = args.in[0];
    const auto *x = address<const float>(images), *dy = address<const float>(args.in[1]),
               *y = address<const float>(args.in, args.n_in, 5);
    auto* dx = address<float>(args.out[0]);
    const NhwcLaunch launch = nhwc_launch(images.dim[0], images.dim[1], pixels_of(images));
    queue.launch(launch.of(normalisation_gradient), launch.blocks, launch.threads, launch.shared_bytes(5, 0), x, dy,
                 address<const float>(args.in[2]), address<const float>(args.in[3]), address<const double>(args.in[4]), y,
                 dx, launch.walk, attributes<BatchNorm>(args), queue.step());
}

const Kernel rows[] = {
    cuda_row(OpKind::batchnorm_statistics, "nhwc", nhwc_f32_input, enqueue_statistics, workspace_of_sums),
    cuda_row(OpKind::batchnorm_apply, "nhwc", nhwc_f32_input, enqueue_apply),
    cuda_row(OpKind::batchnorm_grad_statistics, "nhwc", nhwc_f32_input, enqueue_grad_statistics, workspace_of_sums),
    cuda_row(OpKind::batchnorm_grad_input, "nhwc", nhwc_f32_input, enqueue_grad_input),
};

}  // namespace

KernelRows cuda_batchnorm_nhwc_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
