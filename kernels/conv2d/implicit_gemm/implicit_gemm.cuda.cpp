// "implicit_gemm": convolutions of nhwc images and their gradients on the tensor cores, products in bf16, f16 or tf32, as
// matrix products that never write the gathered images (gather_product.cuh, filter_gradient.cuh). Any size, stride, padding
// and dilation, filters of up to 32 x 32, no groups. Bound by the tensor cores from about 64 channels, below by memory.
#include "kernels/conv2d/implicit_gemm/launch.h"

namespace xbench {
namespace {

Axis axis_h(const Conv2d& a, const KernelTensor& source, const KernelTensor& result) {
    return {
        static_cast<int32_t>(source.dim[2]), static_cast<int32_t>(result.dim[2]), a.r, a.stride_h, a.pad_h, a.dilation_h};
}
Axis axis_w(const Conv2d& a, const KernelTensor& source, const KernelTensor& result) {
    return {
        static_cast<int32_t>(source.dim[3]), static_cast<int32_t>(result.dim[3]), a.s, a.stride_w, a.pad_w, a.dilation_w};
}

FilterMatrix filters_of(const KernelTensor& w) {
    return {address<const float>(w), static_cast<int32_t>(w.dim[0]), static_cast<int32_t>(w.dim[1]),
            static_cast<int32_t>(w.dim[2] * w.dim[3]), w.layout == Layout::nhwc};
}

Support takes(const Problem& problem, const KernelTensor& source, const KernelTensor& result, const KernelTensor& w) {
    const auto& a = attributes<Conv2d>(problem);
    if (source.dtype != DType::f32) return refused("element type");
    if (source.layout != Layout::nhwc || result.layout != Layout::nhwc) return refused("layout");
    if (w.layout == Layout::nchw16c) return refused("layout of the filters");
    if (a.groups != 1) return refused("groups");
    if (a.r > most_taps || a.s > most_taps) return refused("size of the filters");
    for (const KernelTensor* image : {&source, &result})
        if (elements_of_image(*image) >= int64_t{1} << 30) return refused("size");
    return both(tensor_core_products(problem), known_attributes(problem));
}
Support takes_forward(const Problem& p) { return takes(p, p.in[0], p.out[0], p.in[1]); }
Support takes_dgrad(const Problem& p) { return takes(p, p.in[0], p.out[0], p.in[1]); }
Support takes_wgrad(const Problem& p) { return takes(p, p.in[0], p.in[1], p.out[0]); }

GatherProduct product_of(const Problem& problem, bool backward) {
    const auto& a = attributes<Conv2d>(problem);
    const KernelTensor &source = problem.in[0], &result = problem.out[0];
    GatherProduct product{};
    product.source = address<const float>(source);
    product.bias = backward ? nullptr : address<const float>(problem.in, problem.n_in, 2);
    product.result = address<float>(result);
    product.images = static_cast<int32_t>(source.dim[0]);
    product.channels = static_cast<int32_t>(source.dim[1]);
    product.columns = static_cast<int32_t>(result.dim[1]);
    product.h = axis_h(a, source, result);
    product.w = axis_w(a, source, result);
    product.backward = backward;
    product.relu = !backward && a.activation == Activation::relu;
    return product;
}

template <bool backward>
size_t workspace(const Problem& problem, int) {
    return gather_workspace(product_of(problem, backward), filters_of(problem.in[1]));
}

template <bool backward>
void enqueue(const KernelArgs& args, CudaQueue& queue) noexcept {
    enqueue_gather(product_of(args, backward), filters_of(args.in[1]), products_of(args), args.workspace, queue);
}

FilterGradient gradient_of(const Problem& problem) {
    const auto& a = attributes<Conv2d>(problem);
    const KernelTensor &x = problem.in[0], &dy = problem.in[1];
    FilterGradient gradient{};
    gradient.source = address<const float>(x);
    gradient.gradient = address<const float>(dy);
    gradient.filters = static_cast<int32_t>(dy.dim[1]);
    gradient.channels = static_cast<int32_t>(x.dim[1]);
    gradient.h = axis_h(a, x, dy);
    gradient.w = axis_w(a, x, dy);
    return gradient;
}

float* bias_of(const Problem& problem) { return address<float>(problem.out, problem.n_out, 1); }
bool has_bias(const Problem& problem) { return problem.n_out > 1 && problem.out[1].rank > 0; }

size_t wgrad_workspace(const Problem& problem, int) {
    return filter_gradient_workspace(gradient_of(problem), problem.in[0].dim[0], problem.leaves, has_bias(problem));
}

void enqueue_wgrad(const KernelArgs& args, CudaQueue& queue) noexcept {
    FinishedGradient finished{};
    finished.filters = address<float>(args.out[0]);
    finished.bias = bias_of(args);
    finished.plain = args.out[0].layout == Layout::plain;
    enqueue_filter_gradient(gradient_of(args), finished, products_of(args), args.in[0].dim[0], args.leaves, args.workspace,
                            queue);
}

const Kernel rows[] = {
    cuda_row(OpKind::conv2d, "implicit_gemm", takes_forward, enqueue<false>, workspace<false>),
    cuda_row(OpKind::conv2d_dgrad, "implicit_gemm", takes_dgrad, enqueue<true>, workspace<true>),
    cuda_row(OpKind::conv2d_wgrad, "implicit_gemm", takes_wgrad, enqueue_wgrad, wgrad_workspace),
};

}  // namespace

KernelRows cuda_implicit_gemm_rows() { return {rows, 3}; }

}  // namespace xbench
