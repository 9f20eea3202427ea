// "simt": poolings and their gradients of plain f32 images on a GPU.
#include "kernels/pool2d/window_grid.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(max_pool, pool2d, max_pool);
XB_CUDA_FUNCTION(max_pool_2x2, pool2d, max_pool_2x2);
XB_CUDA_FUNCTION(max_pool_gradient, pool2d, max_pool_gradient);
XB_CUDA_FUNCTION(max_pool_gradient_2x2, pool2d, max_pool_gradient_2x2);
XB_CUDA_FUNCTION(average_pool, pool2d, average_pool);
XB_CUDA_FUNCTION(average_pool_gradient, pool2d, average_pool_gradient);
XB_CUDA_FUNCTION(global_average, pool2d, global_average);
XB_CUDA_FUNCTION(global_average_gradient, pool2d, global_average_gradient);

constexpr unsigned threads = window_threads;

// Windows of 2x2 side by side on images of even width, whose pairs are aligned.
bool is_halving(const Pool2d& a, const KernelTensor& x) {
    return a.r == 2 && a.s == 2 && a.stride_h == 2 && a.stride_w == 2 && a.pad_h == 0 && a.pad_w == 0 &&
           has_aligned_pairs(x);
}

void enqueue_max(const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto& a = attributes<Pool2d>(args);
    const KernelTensor &x = args.in[0], &y = args.out[0];
    const PoolShape shape = window_shape(x, y, elements_of_image(y));
    queue.launch(is_halving(a, x) ? max_pool_2x2 : max_pool, blocks_of(shape, x), {threads}, 0, address<const float>(x),
                 address<float>(y), address<uint8_t>(args.out, args.n_out, 1), shape, a, queue.step());
}

void enqueue_max_grad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto& a = attributes<Pool2d>(args);
    const KernelTensor &dy = args.in[0], &dx = args.out[0];
    const bool halving = is_halving(a, dx);
    const PoolShape shape = window_shape(dx, dy, halving ? halving_windows(dx) : elements_of_image(dx));
    queue.launch(halving ? max_pool_gradient_2x2 : max_pool_gradient, blocks_of(shape, dx), {threads}, 0,
                 address<const float>(dy), address<const uint8_t>(args.in[1]), address<const float>(args.in, args.n_in, 2),
                 address<float>(dx), shape, a);
}

void enqueue_average(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor &x = args.in[0], &y = args.out[0];
    const PoolShape shape = window_shape(x, y, elements_of_image(y));
    queue.launch(average_pool, blocks_of(shape, x), {threads}, 0, address<const float>(x), address<float>(y), shape,
                 attributes<Pool2d>(args));
}

void enqueue_average_grad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor &dy = args.in[0], &dx = args.out[0];
    const PoolShape shape = window_shape(dx, dy, elements_of_image(dx));
    queue.launch(average_pool_gradient, blocks_of(shape, dx), {threads}, 0, address<const float>(dy), address<float>(dx),
                 shape, attributes<Pool2d>(args));
}

void enqueue_global(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor& x = args.in[0];
    const int64_t planes = x.dim[0] * x.dim[1];
    const int pixels = static_cast<int>(x.dim[2] * x.dim[3]);
    const auto* from = address<const float>(x);
    queue.launch(global_average, {blocks_for(planes, threads / 32)}, {threads}, 0, from, address<float>(args.out[0]), planes,
                 pixels, int{pixels % 4 == 0 && are_vectors(from)});
}

void enqueue_global_grad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor& dx = args.out[0];
    const int64_t count = elements(dx);
    const int pixels = static_cast<int>(dx.dim[2] * dx.dim[3]);
    auto* to = address<float>(dx);
    queue.launch(global_average_gradient, {blocks_for(count, 4 * threads)}, {threads}, 0, address<const float>(args.in[0]),
                 to, count, pixels, int{pixels % 4 == 0 && are_vectors(to)});
}

const Kernel rows[] = {
    cuda_row(OpKind::max_pool2d, "simt", takes_images_of_windows, enqueue_max),
    cuda_row(OpKind::max_pool2d_grad, "simt", takes_images_of_windows, enqueue_max_grad),
    cuda_row(OpKind::avg_pool2d, "simt", takes_images_of_windows, enqueue_average),
    cuda_row(OpKind::avg_pool2d_grad, "simt", takes_images_of_windows, enqueue_average_grad),
    cuda_row(OpKind::global_avg_pool, "simt", takes_images_of_windows, enqueue_global),
    cuda_row(OpKind::global_avg_pool_grad, "simt", takes_images_of_windows, enqueue_global_grad),
};

}  // namespace

KernelRows cuda_pool2d_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
