// "nhwc": dropout and its gradient of f32 images in nhwc on a GPU.
#include <iterator>

#include "kernels/cuda/nhwc_row.h"

namespace xbench {
namespace {

XB_NHWC_FUNCTION(dropout_nhwc, dropout_nhwc, dropout_nhwc);

void enqueue(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor& images = args.out[0];
    const NhwcLaunch launch = nhwc_launch(images.dim[0], images.dim[1], images.dim[2] * images.dim[3]);
    queue.launch(launch.of(dropout_nhwc), launch.blocks, launch.threads, 0, address<const float>(args.in[0]),
                 address<float>(images), attributes<Dropout>(args), queue.step(), launch.walk);
}

const Kernel rows[] = {
    cuda_row(OpKind::dropout, "nhwc", nhwc_f32_input, enqueue),
    cuda_row(OpKind::dropout_grad, "nhwc", nhwc_f32_input, enqueue),
};

}  // namespace

KernelRows cuda_dropout_nhwc_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
