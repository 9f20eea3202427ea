// "tensor_gemm": linear layers and their gradients on the tensor cores, products in bf16, f16 or tf32: those of convolutions
// of images of one pixel (kernels/conv2d/implicit_gemm). Long sums are split into parts of 1024. With few images bound by
// reading the weights once. "leaf_outer": the gradient of the weights without a partial sum for each leaf (leaf_outer.cu),
// which is chosen; the other one is there to be forced.
#include "kernels/conv2d/implicit_gemm/launch.h"
#include "kernels/linear/linear_gradient.h"

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

// For few leaves and for many: the same sums, with more registers for each.
struct OuterKernels {
    CudaFunction few, many, bias;
};
#define XB_OUTER_KERNELS(product)                                                              \
    constexpr OuterKernels outer_##product {                                                   \
        {"leaf_outer", "xb_outer_few_" #product}, {"leaf_outer", "xb_outer_many_" #product}, { \
            "leaf_outer", "xb_outer_bias_" #product                                            \
        }                                                                                      \
    }
XB_OUTER_KERNELS(bf16);
XB_OUTER_KERNELS(f16);
XB_OUTER_KERNELS(tf32);

void enqueue_outer(const KernelArgs& args, CudaQueue& queue) noexcept {
    LinearGradient p{};
    p.x = address<const float>(args.in[0]), p.dy = address<const float>(args.in[1]);
    p.dw = address<float>(args.out[0]), p.db = address<float>(args.out, args.n_out, 1);
    p.features = static_cast<int32_t>(args.in[0].dim[1]), p.outputs = static_cast<int32_t>(args.in[1].dim[1]);
    p.x_vectors = p.features % 4 == 0 && are_vectors(p.x), p.dw_vectors = p.features % 4 == 0 && are_vectors(p.dw);
    const DType products = products_of(args);
    const OuterKernels& in = products == DType::bf16 ? outer_bf16 : products == DType::f16 ? outer_f16 : outer_tf32;
    const bool few = args.leaves <= few_leaves;
    const int rows = few ? rows_with_few_leaves : rows_with_many_leaves;
    queue.launch(few ? in.few : in.many, {blocks_for(p.features, outer_columns), blocks_for(p.outputs, outer_lanes * rows)},
                 {32, outer_lanes}, 0, p, queue.step());
    if (p.db) queue.launch(in.bias, {blocks_for(p.outputs, 256)}, {256}, 0, p, queue.step());
}

const Kernel rows[] = {
    cuda_row(OpKind::linear, "tensor_gemm", takes, enqueue<false>, workspace<false>),
    cuda_row(OpKind::linear_dgrad, "tensor_gemm", takes, enqueue<true>, workspace<true>),
    cuda_row(OpKind::linear_wgrad, "leaf_outer", takes, enqueue_outer),
    cuda_row(OpKind::linear_wgrad, "tensor_gemm", takes, enqueue_wgrad, wgrad_workspace),
};

}  // namespace

KernelRows cuda_tensor_gemm_rows() { return {rows, 4}; }

}  // namespace xbench
