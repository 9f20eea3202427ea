// "simt": the fully connected layer and its gradients, f32 on a GPU. The workspace of the forward pass holds the parts of
// its sums.
#include "kernels/cuda/image_sums.h"
#include "kernels/cuda/row.h"
#include "kernels/linear/linear_parts.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(linear_forward, linear_simt, linear_forward);
XB_CUDA_FUNCTION(linear_finish, linear_simt, linear_finish);
XB_CUDA_FUNCTION(linear_dgrad, linear_simt, linear_dgrad);
XB_CUDA_FUNCTION(linear_wgrad, linear_simt, linear_wgrad);
XB_CUDA_FUNCTION(linear_wgrad_few_leaves, linear_simt, linear_wgrad_few_leaves);
XB_CUDA_FUNCTION(linear_bias_gradient, linear_simt, linear_bias_gradient);

constexpr unsigned threads = 256;

size_t workspace(const Problem& problem, int) {
    return sizeof(float) * static_cast<size_t>(parts_of(problem.in[0].dim[1]) * elements(problem.out[0]));
}

void enqueue_forward(const KernelArgs& args, CudaQueue& queue) noexcept {
    const int64_t n = args.in[0].dim[0], f = args.in[0].dim[1], k = args.out[0].dim[1];
    const auto *x = address<const float>(args.in[0]), *w = address<const float>(args.in[1]);
    auto* parts = static_cast<float*>(args.workspace);
    const auto part_count = static_cast<unsigned>(parts_of(f));
    queue.launch(linear_forward, {blocks_for(k, linear_tile), blocks_for(n, linear_tile), part_count}, {linear_threads}, 0,
                 x, w, parts, n, k, f, features_of_part(f), int{f % 4 == 0 && are_vectors(x, w)});
    queue.launch(linear_finish, {blocks_for(n * k, threads)}, {threads}, 0, static_cast<const float*>(parts),
                 address<const float>(args.in, args.n_in, 2), address<float>(args.out[0]), n * k, static_cast<int>(k),
                 static_cast<int>(part_count), int{attributes<Linear>(args).activation == Activation::relu});
}

void enqueue_dgrad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const int64_t n = args.in[0].dim[0], k = args.in[0].dim[1], f = args.out[0].dim[1];
    const auto *dy = address<const float>(args.in[0]), *w = address<const float>(args.in[1]);
    auto* dx = address<float>(args.out[0]);
    queue.launch(linear_dgrad, {blocks_for(f, linear_tile), blocks_for(n, linear_tile)}, {linear_threads}, 0, dy, w, dx, n,
                 k, f, int{k % 4 == 0 && are_vectors(dy)}, int{f % 4 == 0 && are_vectors(w, dx)});
}

void enqueue_wgrad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const int64_t f = args.in[0].dim[1], k = args.in[1].dim[1];
    const auto *x = address<const float>(args.in[0]), *dy = address<const float>(args.in[1]);
    auto* dw = address<float>(args.out[0]);
    const int vectors = f % 4 == 0 && are_vectors(x, dw), dy_vectors = k % 4 == 0 && are_vectors(dy);
    if (args.leaves < 16)
        queue.launch(linear_wgrad_few_leaves, {blocks_for(f, wgrad_columns), blocks_for(k, wgrad_filters)}, {wgrad_threads},
                     0, x, dy, dw, static_cast<int>(k), static_cast<int>(f), queue.step(), vectors, dy_vectors);
    else
        queue.launch(linear_wgrad, {blocks_for(f, 128), blocks_for(k, 8)}, {32, 8}, 0, x, dy, dw, k, f, queue.step(),
                     vectors);
    if (auto* db = address<float>(args.out, args.n_out, 1))
        queue.launch(linear_bias_gradient, {blocks_for(k, sum_columns)}, {sum_columns, sum_lanes}, 0, image_partials(dy, k),
                     queue.step(), db);
}

const Kernel rows[] = {
    cuda_row(OpKind::linear, "simt", plain_f32_input, enqueue_forward, workspace),
    cuda_row(OpKind::linear_dgrad, "simt", plain_f32_input, enqueue_dgrad),
    cuda_row(OpKind::linear_wgrad, "simt", plain_f32_input, enqueue_wgrad),
};

}  // namespace

KernelRows cuda_linear_simt_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
