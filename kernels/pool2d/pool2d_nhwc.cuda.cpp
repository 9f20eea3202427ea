// "nhwc": poolings and their gradients of f32 images in nhwc on a GPU.
#include "kernels/cuda/nhwc_row.h"
#include "kernels/pool2d/pool_shape.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(max_pool, pool2d_nhwc, max_pool_nhwc);
XB_CUDA_FUNCTION(max_pool_gradient, pool2d_nhwc, max_pool_gradient_nhwc);
XB_CUDA_FUNCTION(average_pool, pool2d_nhwc, average_pool_nhwc);
XB_CUDA_FUNCTION(average_pool_gradient, pool2d_nhwc, average_pool_gradient_nhwc);
XB_CUDA_FUNCTION(global_average, pool2d_nhwc, global_average_nhwc);
XB_CUDA_FUNCTION(global_average_gradient, pool2d_nhwc, global_average_gradient_nhwc);

constexpr unsigned threads = 256;

// `x` and `y` as the pooling forward has them; a thread takes an element of `over`.
PoolShape shape_of(const KernelTensor& x, const KernelTensor& y, const KernelTensor& over) {
    const auto size = [](int64_t value) { return static_cast<int32_t>(value); };
    const bool global = y.rank == 2;
    return {size(x.dim[1]),
            size(x.dim[2]),
            size(x.dim[3]),
            global ? 1 : size(y.dim[2]),
            global ? 1 : size(y.dim[3]),
            blocks_for(elements_of_image(over), threads)};
}
Extent blocks_of(const PoolShape& shape, const KernelTensor& x) {
    return {shape.blocks_of_image * static_cast<unsigned>(x.dim[0])};
}

void enqueue_max(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor &x = args.in[0], &y = args.out[0];
    const PoolShape shape = shape_of(x, y, y);
    queue.launch(max_pool, blocks_of(shape, x), {threads}, 0, address<const float>(x), address<float>(y),
                 address<uint8_t>(args.out, args.n_out, 1), shape, attributes<Pool2d>(args), queue.step());
}

void enqueue_max_grad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor &dy = args.in[0], &dx = args.out[0];
    const PoolShape shape = shape_of(dx, dy, dx);
    queue.launch(max_pool_gradient, blocks_of(shape, dx), {threads}, 0, address<const float>(dy),
                 address<const uint8_t>(args.in[1]), address<const float>(args.in, args.n_in, 2), address<float>(dx), shape,
                 attributes<Pool2d>(args));
}

void enqueue_average(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor &x = args.in[0], &y = args.out[0];
    const PoolShape shape = shape_of(x, y, y);
    queue.launch(average_pool, blocks_of(shape, x), {threads}, 0, address<const float>(x), address<float>(y), shape,
                 attributes<Pool2d>(args));
}

void enqueue_average_grad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor &dy = args.in[0], &dx = args.out[0];
    const PoolShape shape = shape_of(dx, dy, dx);
    queue.launch(average_pool_gradient, blocks_of(shape, dx), {threads}, 0, address<const float>(dy), address<float>(dx),
                 shape, attributes<Pool2d>(args));
}

void enqueue_global(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor& x = args.in[0];
    queue.launch(global_average, {static_cast<unsigned>(x.dim[0]), blocks_for(x.dim[1], 32)}, {32, 8}, 0,
                 address<const float>(x), address<float>(args.out[0]), static_cast<int>(x.dim[1]),
                 static_cast<int>(x.dim[2] * x.dim[3]));
}

void enqueue_global_grad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor& dx = args.out[0];
    const PoolShape shape = shape_of(dx, args.in[0], dx);
    queue.launch(global_average_gradient, blocks_of(shape, dx), {threads}, 0, address<const float>(args.in[0]),
                 address<float>(dx), shape);
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
