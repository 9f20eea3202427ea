// "nhwc": dropout and its gradient of f32 images in nhwc on a GPU.
#include "kernels/cuda/nhwc_row.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(dropout_nhwc, dropout_nhwc, dropout_nhwc);

constexpr unsigned threads = 256;

void enqueue(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor& images = args.out[0];
    const unsigned blocks = blocks_for(elements_of_image(images), threads);
    queue.launch(dropout_nhwc, {blocks * static_cast<unsigned>(images.dim[0])}, {threads}, 0,
                 address<const float>(args.in[0]), address<float>(images), attributes<Dropout>(args), queue.step(),
                 static_cast<int>(images.dim[1]), static_cast<int>(images.dim[2] * images.dim[3]), blocks);
}

const Kernel rows[] = {
    cuda_row(OpKind::dropout, "nhwc", nhwc_f32_input, enqueue),
    cuda_row(OpKind::dropout_grad, "nhwc", nhwc_f32_input, enqueue),
};

}  // namespace

KernelRows cuda_dropout_nhwc_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
