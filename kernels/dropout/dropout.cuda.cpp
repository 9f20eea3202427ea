// "simt": dropout and its gradient of plain f32 tensors on a GPU.
#include "kernels/cuda/row.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(dropout_images, dropout, dropout_images);

constexpr unsigned threads = 256;

void enqueue(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor& tensor = args.out[0];
    const auto* x = address<const float>(args.in[0]);
    auto* y = address<float>(tensor);
    const int64_t channels = tensor.rank > 1 ? tensor.dim[1] : 1, image = elements_of_image(tensor);
    const unsigned blocks = blocks_for(image, 4 * threads);
    const int vectors = are_vectors(x, y) && image % 4 == 0;
    queue.launch(dropout_images, {blocks * static_cast<unsigned>(tensor.dim[0])}, {threads}, 0, x, y,
                 attributes<Dropout>(args), queue.step(), channels, image / channels, blocks, vectors);
}

const Kernel rows[] = {
    cuda_row(OpKind::dropout, "simt", plain_f32_input, enqueue),
    cuda_row(OpKind::dropout_grad, "simt", plain_f32_input, enqueue),
};

}  // namespace

KernelRows cuda_dropout_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
