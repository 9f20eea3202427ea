// "simt": relu, relu_grad, add, accumulate and flatten of f32 tensors on a GPU.
#include "kernels/cuda/nhwc_row.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(relu_forward, elementwise, relu_forward);
XB_CUDA_FUNCTION(relu_backward, elementwise, relu_backward);
XB_CUDA_FUNCTION(add_arrays, elementwise, add_arrays);
XB_CUDA_FUNCTION(copy_array, elementwise, copy_array);

void enqueue_relu(const KernelArgs& args, CudaQueue& queue) noexcept { launch_map(relu_forward, args, queue); }
void enqueue_flatten(const KernelArgs& args, CudaQueue& queue) noexcept { launch_map(copy_array, args, queue); }
void enqueue_relu_grad(const KernelArgs& args, CudaQueue& queue) noexcept { launch_map_of_two(relu_backward, args, queue); }

void enqueue_add(const KernelArgs& args, CudaQueue& queue) noexcept {
    const int with_relu = args.attrs && attributes<Elementwise>(args).activation == Activation::relu;
    launch_map_of_two(add_arrays, args, queue, with_relu);
}

const Kernel rows[] = {
    cuda_row(OpKind::relu, "simt", alike_f32_output, enqueue_relu),
    cuda_row(OpKind::relu_grad, "simt", alike_f32_output, enqueue_relu_grad),
    cuda_row(OpKind::add, "simt", alike_f32_output, enqueue_add),
    cuda_row(OpKind::accumulate, "simt", alike_f32_output, enqueue_add),
    cuda_row(OpKind::flatten, "simt", plain_f32_input, enqueue_flatten),
};

}  // namespace

KernelRows cuda_elementwise_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
