// "direct": silu and silu_grad on a GPU.
#include <iterator>

#include "kernels/cuda/nhwc_row.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(forward, silu, xb_silu);
XB_CUDA_FUNCTION(grad, silu, xb_silu_grad);

void enqueue_forward(const KernelArgs& args, CudaQueue& queue) noexcept {
    const int64_t count = elements(args.out[0]);
    const auto* x = address<const float>(args.in[0]);
    auto* y = address<float>(args.out[0]);
    queue.launch(forward, {blocks_for(count, 4 * 256)}, {256}, 0, x, y, count, int{are_vectors(x, y)});
}

void enqueue_grad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const int64_t count = elements(args.out[0]);
    const auto *dy = address<const float>(args.in[0]), *x = address<const float>(args.in[1]);
    auto* dx = address<float>(args.out[0]);
    queue.launch(grad, {blocks_for(count, 4 * 256)}, {256}, 0, dy, x, dx, count, int{are_vectors(dy, x, dx)});
}

const Kernel rows[] = {
    cuda_row(OpKind::silu, "direct", alike_f32_output, enqueue_forward),
    cuda_row(OpKind::silu_grad, "direct", alike_f32_output, enqueue_grad),
};

}  // namespace

KernelRows cuda_silu_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
