// "nhwc": poolings and their gradients of f32 images in nhwc on a GPU.
#include <iterator>

#include "kernels/cuda/nhwc_row.h"
#include "kernels/pool2d/pool_shape.h"

namespace xbench {
namespace {

XB_NHWC_FUNCTION(max_pool, pool2d_nhwc, max_pool_nhwc);
XB_NHWC_FUNCTION(touching_gradient, pool2d_nhwc, touching_gradient_nhwc);
XB_NHWC_FUNCTION(gathered_gradient, pool2d_nhwc, gathered_gradient_nhwc);
XB_NHWC_FUNCTION(average_pool, pool2d_nhwc, average_pool_nhwc);
XB_NHWC_FUNCTION(average_pool_gradient, pool2d_nhwc, average_pool_gradient_nhwc);
XB_NHWC_FUNCTION(global_average, pool2d_nhwc, global_average_nhwc);
XB_NHWC_FUNCTION(global_average_gradient, pool2d_nhwc, global_average_gradient_nhwc);

int64_t pixels_of(const KernelTensor& images) { return images.dim[2] * images.dim[3]; }

// `x` and `y` as the pooling forward has them.
PoolShape shape_of(const KernelTensor& x, const KernelTensor& y) {
    const auto size = [](int64_t value) { return static_cast<int32_t>(value); };
    return {size(x.dim[1]), size(x.dim[2]), size(x.dim[3]), size(y.dim[2]), size(y.dim[3]), 0};
}
NhwcLaunch launch_over(const KernelTensor& images) { return nhwc_launch(images.dim[0], images.dim[1], pixels_of(images)); }

void enqueue_max(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor &x = args.in[0], &y = args.out[0];
    const NhwcLaunch launch = launch_over(y);
    queue.launch(launch.of(max_pool), launch.blocks, launch.threads, 0, address<const float>(x), address<float>(y),
                 address<uint8_t>(args.out, args.n_out, 1), launch.walk, shape_of(x, y), attributes<Pool2d>(args),
                 queue.step());
}

void enqueue_max_grad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor &dy = args.in[0], &dx = args.out[0];
    const auto& a = attributes<Pool2d>(args);
    const bool touching = a.r == a.stride_h && a.s == a.stride_w && a.pad_h == 0 && a.pad_w == 0;
    const int64_t items = touching ? int64_t{blocks_for(dx.dim[2], a.r)} * blocks_for(dx.dim[3], a.s) : pixels_of(dx);
    const NhwcLaunch launch = nhwc_launch(dx.dim[0], dx.dim[1], items);
    queue.launch(launch.of(touching ? touching_gradient : gathered_gradient), launch.blocks, launch.threads, 0,
                 address<const float>(dy), address<const uint8_t>(args.in[1]), address<const float>(args.in, args.n_in, 2),
                 address<float>(dx), launch.walk, shape_of(dx, dy), a);
}

void enqueue_average(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor &x = args.in[0], &y = args.out[0];
    const NhwcLaunch launch = launch_over(y);
    queue.launch(launch.of(average_pool), launch.blocks, launch.threads, 0, address<const float>(x), address<float>(y),
                 launch.walk, shape_of(x, y), attributes<Pool2d>(args));
}

void enqueue_average_grad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor &dy = args.in[0], &dx = args.out[0];
    const NhwcLaunch launch = launch_over(dx);
    queue.launch(launch.of(average_pool_gradient), launch.blocks, launch.threads, 0, address<const float>(dy),
                 address<float>(dx), launch.walk, shape_of(dx, dy), attributes<Pool2d>(args));
}

void enqueue_global(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor& x = args.in[0];
    const NhwcLaunch launch = nhwc_launch(x.dim[0], x.dim[1], pixels_of(x), static_cast<int>(pixels_of(x)));
    queue.launch(launch.of(global_average), launch.blocks, launch.threads, launch.shared_bytes(0, 1),
                 address<const float>(x), address<float>(args.out[0]), launch.walk);
}

void enqueue_global_grad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor& dx = args.out[0];
    const NhwcLaunch launch = launch_over(dx);
    queue.launch(launch.of(global_average_gradient), launch.blocks, launch.threads, launch.shared_bytes(1, 0),
                 address<const float>(args.in[0]), address<float>(dx), launch.walk);
}

const Kernel rows[] = {
    cuda_row(OpKind::max_pool2d, "nhwc", nhwc_f32_input, enqueue_max),
    cuda_row(OpKind::max_pool2d_grad, "nhwc", nhwc_f32_input, enqueue_max_grad),
    cuda_row(OpKind::avg_pool2d, "nhwc", nhwc_f32_input, enqueue_average),
    cuda_row(OpKind::avg_pool2d_grad, "nhwc", nhwc_f32_input, enqueue_average_grad),
    cuda_row(OpKind::global_avg_pool, "nhwc", nhwc_f32_input, enqueue_global),
    cuda_row(OpKind::global_avg_pool_grad, "nhwc", nhwc_f32_input, enqueue_global_grad),
};

}  // namespace

KernelRows cuda_pool2d_nhwc_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
