// "simt": poolings and their gradients of plain f32 images on a GPU.
#include <algorithm>

#include "kernels/cuda/row.h"
#include "kernels/pool2d/pool_shape.h"

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

constexpr unsigned threads = 256;

Support takes_images(const Problem& problem) {
    const int64_t most = std::max(elements_of_image(problem.in[0]), elements_of_image(problem.out[0]));
    return both(plain_f32_input(problem), most < int64_t{1} << 30 ? supported : refused("size"));
}

// `x` and `y` as the pooling forward has them; a thread takes one of `items` of an image.
PoolShape shape_of(const KernelTensor& x, const KernelTensor& y, int64_t items) {
    const auto size = [](int64_t value) { return static_cast<int32_t>(value); };
    return {size(x.dim[1]), size(x.dim[2]), size(x.dim[3]), size(y.dim[2]), size(y.dim[3]), blocks_for(items, threads)};
}
Extent blocks_of(const PoolShape& shape, const KernelTensor& x) {
    return {shape.blocks_of_image * static_cast<unsigned>(x.dim[0])};
}

// Windows of 2x2 side by side on images of even width, whose pairs are aligned.
bool is_halving(const Pool2d& a, const KernelTensor& x) {
    return a.r == 2 && a.s == 2 && a.stride_h == 2 && a.stride_w == 2 && a.pad_h == 0 && a.pad_w == 0 && x.dim[3] % 2 == 0 &&
           reinterpret_cast<uintptr_t>(x.data) % 8 == 0;
}

void enqueue_max(const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto& a = attributes<Pool2d>(args);
    const KernelTensor &x = args.in[0], &y = args.out[0];
    const PoolShape shape = shape_of(x, y, elements_of_image(y));
    queue.launch(is_halving(a, x) ? max_pool_2x2 : max_pool, blocks_of(shape, x), {threads}, 0, address<const float>(x),
                 address<float>(y), address<uint8_t>(args.out, args.n_out, 1), shape, a, queue.step());
}

void enqueue_max_grad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto& a = attributes<Pool2d>(args);
    const KernelTensor &dy = args.in[0], &dx = args.out[0];
    const bool halving = is_halving(a, dx);
    const int64_t windows = dx.dim[1] * ((dx.dim[2] + 1) / 2) * (dx.dim[3] / 2);
    const PoolShape shape = shape_of(dx, dy, halving ? windows : elements_of_image(dx));
    queue.launch(halving ? max_pool_gradient_2x2 : max_pool_gradient, blocks_of(shape, dx), {threads}, 0,
                 address<const float>(dy), address<const uint8_t>(args.in[1]), address<const float>(args.in, args.n_in, 2),
                 address<float>(dx), shape, a);
}

void enqueue_average(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor &x = args.in[0], &y = args.out[0];
    const PoolShape shape = shape_of(x, y, elements_of_image(y));
    queue.launch(average_pool, blocks_of(shape, x), {threads}, 0, address<const float>(x), address<float>(y), shape,
                 attributes<Pool2d>(args));
}

void enqueue_average_grad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor &dy = args.in[0], &dx = args.out[0];
    const PoolShape shape = shape_of(dx, dy, elements_of_image(dx));
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
    cuda_row(OpKind::max_pool2d, "simt", takes_images, enqueue_max),
    cuda_row(OpKind::max_pool2d_grad, "simt", takes_images, enqueue_max_grad),
    cuda_row(OpKind::avg_pool2d, "simt", takes_images, enqueue_average),
    cuda_row(OpKind::avg_pool2d_grad, "simt", takes_images, enqueue_average_grad),
    cuda_row(OpKind::global_avg_pool, "simt", takes_images, enqueue_global),
    cuda_row(OpKind::global_avg_pool_grad, "simt", takes_images, enqueue_global_grad),
};

}  // namespace

KernelRows cuda_pool2d_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
