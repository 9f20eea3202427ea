// "implicit_gemm": convolutions of nhwc images and their gradients on the tensor cores, products in bf16, f16 or tf32, as
// matrix products that never write the gathered images (gather_product.cuh, filter_gradient.cuh). Any size, stride, padding
// and dilation, filters of up to 32 x 32, no groups. Plain images are copied to nhwc, and results from it, which costs a
// pass over memory for each. Bound by the tensor cores from about 64 channels, below by memory.
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
    if (source.layout == Layout::nchw16c || result.layout == Layout::nchw16c) return refused("layout");
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

// ---- copies of plain images

bool needs_copy(const KernelTensor& image) {
    return image.layout == Layout::plain && image.dim[1] > 1 && image.dim[2] * image.dim[3] > 1;
}
int64_t copy_floats(const KernelTensor& image) { return needs_copy(image) ? whole_lines(elements(image)) : 0; }

// {images, c, pixels} to {images, pixels, c}, or back.
void enqueue_copy(const KernelTensor& image, const float* from, float* to, bool to_nhwc, CudaQueue& queue) noexcept {
    const auto channels = static_cast<int32_t>(image.dim[1]), pixels = static_cast<int32_t>(image.dim[2] * image.dim[3]);
    const int64_t all = int64_t{channels} * pixels;
    TransposedFilters t{from, to, channels, pixels, all, pixels, all, channels};
    if (!to_nhwc) t.rows = pixels, t.columns = channels, t.from_row = channels, t.to_row = pixels;
    queue.launch(transpose_filters, {blocks_for(t.columns, 32), blocks_for(t.rows, 32), static_cast<unsigned>(image.dim[0])},
                 {32, 8}, 0, t);
}

// Where the product reads an image: itself, or its copy at `scratch`, which moves on.
const float* read_in_nhwc(const KernelTensor& image, float*& scratch, CudaQueue& queue) noexcept {
    const auto* own = address<const float>(image);
    if (!needs_copy(image)) return own;
    float* const copy = scratch;
    scratch += copy_floats(image);
    enqueue_copy(image, own, copy, true, queue);
    return copy;
}

// ---- y, or dx from dy

GatherProduct product_of(const Problem& problem, bool backward) {
    const auto& a = attributes<Conv2d>(problem);
    const KernelTensor &source = problem.in[0], &result = problem.out[0];
    GatherProduct product{};
    product.bias = backward ? nullptr : address<const float>(problem.in, problem.n_in, 2);
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
    const int64_t copies = copy_floats(problem.in[0]) + copy_floats(problem.out[0]);
    return sizeof(float) * static_cast<size_t>(copies) +
           gather_workspace(product_of(problem, backward), filters_of(problem.in[1]));
}

template <bool backward>
void enqueue(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor& result = args.out[0];
    auto* scratch = static_cast<float*>(args.workspace);
    GatherProduct product = product_of(args, backward);
    product.source = read_in_nhwc(args.in[0], scratch, queue);
    product.result = address<float>(result);
    if (needs_copy(result)) {
        product.result = scratch;
        scratch += copy_floats(result);
    }
    const float* const made = product.result;
    enqueue_gather(product, filters_of(args.in[1]), products_of(args), scratch, queue);
    if (needs_copy(result)) enqueue_copy(result, made, address<float>(result), false, queue);
}

// ---- dw and db

FilterGradient gradient_of(const Problem& problem) {
    const auto& a = attributes<Conv2d>(problem);
    const KernelTensor &x = problem.in[0], &dy = problem.in[1];
    FilterGradient gradient{};
    gradient.filters = static_cast<int32_t>(dy.dim[1]);
    gradient.channels = static_cast<int32_t>(x.dim[1]);
    gradient.h = axis_h(a, x, dy);
    gradient.w = axis_w(a, x, dy);
    return gradient;
}

size_t wgrad_workspace(const Problem& problem, int) {
    const bool bias = problem.n_out > 1 && problem.out[1].rank > 0;
    const int64_t copies = copy_floats(problem.in[0]) + copy_floats(problem.in[1]);
    return sizeof(float) * static_cast<size_t>(copies) +
           filter_gradient_workspace(gradient_of(problem), problem.in[0].dim[0], problem.leaves, bias);
}

void enqueue_wgrad(const KernelArgs& args, CudaQueue& queue) noexcept {
    auto* scratch = static_cast<float*>(args.workspace);
    FilterGradient gradient = gradient_of(args);
    gradient.source = read_in_nhwc(args.in[0], scratch, queue);
    gradient.gradient = read_in_nhwc(args.in[1], scratch, queue);
    FinishedGradient finished{};
    finished.filters = address<float>(args.out[0]);
    finished.bias = address<float>(args.out, args.n_out, 1);
    finished.plain = args.out[0].layout == Layout::plain;
    enqueue_filter_gradient(gradient, finished, products_of(args), args.in[0].dim[0], args.leaves, scratch, queue);
}

const Kernel rows[] = {
    cuda_row(OpKind::conv2d, "implicit_gemm", takes_forward, enqueue<false>, workspace<false>),
    cuda_row(OpKind::conv2d_dgrad, "implicit_gemm", takes_dgrad, enqueue<true>, workspace<true>),
    cuda_row(OpKind::conv2d_wgrad, "implicit_gemm", takes_wgrad, enqueue_wgrad, wgrad_workspace),
};

}  // namespace

KernelRows cuda_implicit_gemm_rows() { return {rows, 3}; }

}  // namespace xbench
