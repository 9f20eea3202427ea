// "direct": gelu and gelu_grad on a GPU.
#include <iterator>

#include "kernels/cuda/nhwc_row.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(forward, gelu, xb_gelu);
XB_CUDA_FUNCTION(grad, gelu, xb_gelu_grad);

void enqueue_forward(const KernelArgs& args, CudaQueue& queue) noexcept { launch_map(forward, args, queue); }
void enqueue_grad(const KernelArgs& args, CudaQueue& queue) noexcept { launch_map_of_two(grad, args, queue); }

const Kernel rows[] = {
    cuda_row(OpKind::gelu, "direct", alike_f32_output, enqueue_forward),
    cuda_row(OpKind::gelu_grad, "direct", alike_f32_output, enqueue_grad),
};

}  // namespace

KernelRows cuda_gelu_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
