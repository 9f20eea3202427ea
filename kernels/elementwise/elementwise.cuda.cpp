// "simt": relu, relu_grad, add, accumulate and flatten of f32 tensors on a GPU.
#include "kernels/cuda/row.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(relu_forward, elementwise, relu_forward);
XB_CUDA_FUNCTION(relu_backward, elementwise, relu_backward);
XB_CUDA_FUNCTION(add_arrays, elementwise, add_arrays);
XB_CUDA_FUNCTION(copy_array, elementwise, copy_array);

constexpr unsigned threads = 256, per_block = 4 * threads;

void one_operand(const CudaFunction& function, const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto* x = address<const float>(args.in[0]);
    auto* y = address<float>(args.out[0]);
    const int64_t count = elements(args.out[0]);
    queue.launch(function, {blocks_for(count, per_block)}, {threads}, 0, x, y, count, int{are_vectors(x, y)});
}

void enqueue_relu(const KernelArgs& args, CudaQueue& queue) noexcept { one_operand(relu_forward, args, queue); }
void enqueue_flatten(const KernelArgs& args, CudaQueue& queue) noexcept { one_operand(copy_array, args, queue); }

void enqueue_relu_grad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto *dy = address<const float>(args.in[0]), *y = address<const float>(args.in[1]);
    auto* dx = address<float>(args.out[0]);
    const int64_t count = elements(args.out[0]);
    queue.launch(relu_backward, {blocks_for(count, per_block)}, {threads}, 0, dy, y, dx, count, int{are_vectors(dy, y, dx)});
}

void enqueue_add(const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto *a = address<const float>(args.in[0]), *b = address<const float>(args.in[1]);
    auto* y = address<float>(args.out[0]);
    const int64_t count = elements(args.out[0]);
    const int with_relu = args.attrs && attributes<Elementwise>(args).activation == Activation::relu;
    queue.launch(add_arrays, {blocks_for(count, per_block)}, {threads}, 0, a, b, y, count, int{are_vectors(a, b, y)},
                 with_relu);
}

// Element for element, in whatever order they lie: plain or nhwc, but all operands alike.
Support takes_alike(const Problem& problem) {
    Problem plain = problem;
    for (KernelTensor* tensor : {&plain.in[0], &plain.in[1], &plain.out[0]}) {
        if (tensor->rank > 0 && tensor->layout != problem.in[0].layout) return refused("layout");
        if (tensor->layout == Layout::nhwc) tensor->layout = Layout::plain;
    }
    return plain_f32_input(plain);
}

const Kernel rows[] = {
    cuda_row(OpKind::relu, "simt", takes_alike, enqueue_relu),
    cuda_row(OpKind::relu_grad, "simt", takes_alike, enqueue_relu_grad),
    cuda_row(OpKind::add, "simt", takes_alike, enqueue_add),
    cuda_row(OpKind::accumulate, "simt", takes_alike, enqueue_add),
    cuda_row(OpKind::flatten, "simt", plain_f32_input, enqueue_flatten),
};

}  // namespace

KernelRows cuda_elementwise_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
