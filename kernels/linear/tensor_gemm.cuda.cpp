// "tensor_gemm": linear layers and their gradients on the tensor cores, products in bf16, f16 or tf32: those of convolutions
// of images of one pixel (kernels/conv2d/implicit_gemm). Long sums are split into parts of 1024. With few images bound by
// reading the weights once.
#include "kernels/conv2d/implicit_gemm/launch.h"

namespace xbench {
namespace {

constexpr Axis one_pixel{1, 1, 1, 1, 0, 1};

Support takes(const Problem& problem) {
    for (int32_t i = 0; i < problem.n_in; ++i)
        if (problem.in[i].rank > 0 && problem.in[i].dtype != DType::f32) return refused("element type");
    for (int32_t i = 0; i < 2; ++i)
        if (problem.in[i].dim[1] >= int64_t{1} << 30) return refused("size");
    return both(tensor_core_products(problem), known_attributes(problem));
}

GatherProduct product_of(const Problem& problem, bool backward) {
    GatherProduct product{};
    product.source = address<const float>(problem.in[0]);
    product.bias = backward ? nullptr : address<const float>(problem.in, problem.n_in, 2);
    product.result = address<float>(problem.out[0]);
    product.images = static_cast<int32_t>(problem.in[0].dim[0]);
    product.channels = static_cast<int32_t>(problem.in[0].dim[1]);
    product.columns = static_cast<int32_t>(problem.out[0].dim[1]);
    product.h = product.w = one_pixel;
    product.backward = backward;
    product.relu = !backward && attributes<Linear>(problem).activation == Activation::relu;
    return product;
}

FilterMatrix weights_of(const Problem& problem) {
    const KernelTensor& w = problem.in[1];
    return {address<const float>(w), static_cast<int32_t>(w.dim[0]), static_cast<int32_t>(w.dim[1]), 1, true};
}

template <bool backward>
size_t workspace(const Problem& problem, int) {
    return gather_workspace(product_of(problem, backward), weights_of(problem));
}
template <bool backward>
void enqueue(const KernelArgs& args, CudaQueue& queue) noexcept {
    enqueue_gather(product_of(args, backward), weights_of(args), products_of(args), args.workspace, queue);
}

FilterGradient gradient_of(const Problem& problem) {
    FilterGradient gradient{};
    gradient.source = address<const float>(problem.in[0]);
    gradient.gradient = address<const float>(problem.in[1]);
    gradient.filters = static_cast<int32_t>(problem.in[1].dim[1]);
    gradient.channels = static_cast<int32_t>(problem.in[0].dim[1]);
    gradient.h = gradient.w = one_pixel;
    return gradient;
}

size_t wgrad_workspace(const Problem& problem, int) {
    const bool bias = problem.n_out > 1 && problem.out[1].rank > 0;
    return filter_gradient_workspace(gradient_of(problem), problem.in[0].dim[0], problem.leaves, bias);
}

void enqueue_wgrad(const KernelArgs& args, CudaQueue& queue) noexcept {
    FinishedGradient finished{};
    finished.filters = address<float>(args.out[0]);
    finished.bias = address<float>(args.out, args.n_out, 1);
    enqueue_filter_gradient(gradient_of(args), finished, products_of(args), args.in[0].dim[0], args.leaves, args.workspace,
                            queue);
}

const Kernel rows[] = {
    cuda_row(OpKind::linear, "tensor_gemm", takes, enqueue<false>, workspace<false>),
    cuda_row(OpKind::linear_dgrad, "tensor_gemm", takes, enqueue<true>, workspace<true>),
    cuda_row(OpKind::linear_wgrad, "tensor_gemm", takes, enqueue_wgrad, wgrad_workspace),
};

}  // namespace

KernelRows cuda_tensor_gemm_rows() { return {rows, 3}; }

}  // namespace xbench
