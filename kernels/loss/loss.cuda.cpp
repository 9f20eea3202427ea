// "simt": the losses and their gradients on a GPU. The workspace holds each image's loss.
#include "kernels/cuda/image_sums.h"
#include "kernels/cuda/row.h"
#include "kernels/loss/terms.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(softmax_losses, loss, softmax_losses);
XB_CUDA_FUNCTION(bce_losses, loss, bce_losses);
XB_CUDA_FUNCTION(sum_losses, loss, sum_losses);
XB_CUDA_FUNCTION(softmax_gradient, loss, softmax_gradient);
XB_CUDA_FUNCTION(weighted_softmax_gradient, loss, weighted_softmax_gradient);
XB_CUDA_FUNCTION(bce_gradient, loss, bce_gradient);

constexpr Extent sum_block{sum_columns, sum_lanes};
constexpr unsigned threads = 128, images_of_block = threads / 32;

size_t workspace(const Problem& problem, int) { return sizeof(double) * static_cast<size_t>(problem.in[0].dim[0]); }

int classes_of(const KernelTensor& logits) { return static_cast<int>(logits.dim[1]); }

void sum_images(const KernelArgs& args, CudaQueue& queue) noexcept {
    queue.launch(sum_losses, {1}, sum_block, 0, image_partials(static_cast<const double*>(args.workspace), 1), queue.step(),
                 address<double>(args.out[0]));
}

void enqueue_softmax(const KernelArgs& args, CudaQueue& queue) noexcept {
    const int64_t images = args.in[0].dim[0];
    queue.launch(softmax_losses, {blocks_for(images, images_of_block)}, {threads}, 0, address<const float>(args.in[0]),
                 address<const int32_t>(args.in[1]), address<const float>(args.in, args.n_in, 2),
                 address<float>(args.out[1]), static_cast<double*>(args.workspace), images, classes_of(args.in[0]),
                 attributes<Loss>(args));
    sum_images(args, queue);
}

void enqueue_bce(const KernelArgs& args, CudaQueue& queue) noexcept {
    const int64_t images = args.in[0].dim[0];
    queue.launch(bce_losses, {blocks_for(images, images_of_block)}, {threads}, 0, address<const float>(args.in[0]),
                 address<const float>(args.in[1]), address<const float>(args.in, args.n_in, 2),
                 address<const float>(args.in, args.n_in, 3), address<float>(args.out[1]),
                 static_cast<double*>(args.workspace), images, classes_of(args.in[0]), attributes<Loss>(args));
    sum_images(args, queue);
}

void enqueue_softmax_grad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto* const weight = address<const float>(args.in, args.n_in, 2);
    if (!is_plain(attributes<Loss>(args), weight)) {
        const int64_t images = args.in[0].dim[0];
        queue.launch(weighted_softmax_gradient, {blocks_for(images, images_of_block)}, {threads}, 0,
                     address<const float>(args.in[0]), address<const int32_t>(args.in[1]), weight,
                     address<float>(args.out[0]), images, classes_of(args.in[0]), attributes<Loss>(args), queue.step());
        return;
    }
    const int64_t count = elements(args.out[0]);
    queue.launch(softmax_gradient, {blocks_for(count, threads)}, {threads}, 0, address<const float>(args.in[0]),
                 address<const int32_t>(args.in[1]), address<float>(args.out[0]), count, classes_of(args.out[0]),
                 queue.step());
}

void enqueue_bce_grad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const int64_t count = elements(args.out[0]);
    queue.launch(bce_gradient, {blocks_for(count, threads)}, {threads}, 0, address<const float>(args.in[0]),
                 address<const float>(args.in[1]), address<const float>(args.in, args.n_in, 2),
                 address<const float>(args.in, args.n_in, 3), address<float>(args.out[0]), count, classes_of(args.out[0]),
                 attributes<Loss>(args), queue.step());
}

const Kernel rows[] = {
    cuda_row(OpKind::softmax_cross_entropy, "simt", plain_f32_input, enqueue_softmax, workspace),
    cuda_row(OpKind::softmax_cross_entropy_grad, "simt", plain_f32_input, enqueue_softmax_grad),
    cuda_row(OpKind::bce_with_logits, "simt", plain_f32_input, enqueue_bce, workspace),
    cuda_row(OpKind::bce_with_logits_grad, "simt", plain_f32_input, enqueue_bce_grad),
};

}  // namespace

KernelRows cuda_loss_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
