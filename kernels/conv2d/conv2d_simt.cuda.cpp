// "gemm": the convolution and the gradient of its input, plain f32 images on a GPU, all that core/ops.h allows.
#include <algorithm>

#include "kernels/conv2d/conv_args.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(conv_forward, conv2d_simt, conv_forward);
XB_CUDA_FUNCTION(conv_dgrad, conv2d_simt, conv_dgrad);

constexpr unsigned threads = 128;
constexpr int pixels_of_tile = 64, rows_of_tile = 32;

// x, w, [b] -> y
void enqueue_forward(const KernelArgs& args, CudaQueue& queue) noexcept {
    const ConvShape s = conv_shape(attributes<Conv2d>(args), args.in[0], args.out[0]);
    auto* y = address<float>(args.out[0]);
    const Extent blocks{blocks_for(int64_t{s.p} * s.q, pixels_of_tile),
                        static_cast<unsigned>(s.groups) * blocks_for(s.filters_of_group(), rows_of_tile),
                        static_cast<unsigned>(args.in[0].dim[0])};
    queue.launch(conv_forward, blocks, {threads}, 0, address<const float>(args.in[0]), address<const float>(args.in[1]),
                 address<const float>(args.in, args.n_in, 2), y, s,
                 int{attributes<Conv2d>(args).activation == Activation::relu}, int{s.p * s.q % 4 == 0 && are_vectors(y)});
}

// dy, w -> dx
void enqueue_dgrad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const ConvShape s = conv_shape(attributes<Conv2d>(args), args.out[0], args.in[0]);
    auto* dx = address<float>(args.out[0]);
    const Extent blocks{blocks_for(int64_t{s.h} * s.w, pixels_of_tile),
                        static_cast<unsigned>(s.groups) * blocks_for(s.channels_of_group(), rows_of_tile),
                        static_cast<unsigned>(args.out[0].dim[0])};
    queue.launch(conv_dgrad, blocks, {threads}, 0, address<const float>(args.in[0]), address<const float>(args.in[1]), dx, s,
                 int{s.h * s.w % 4 == 0 && are_vectors(dx)});
}

const Kernel rows[] = {
    cuda_row(OpKind::conv2d, "gemm", takes_convolution, enqueue_forward),
    cuda_row(OpKind::conv2d_dgrad, "gemm", takes_convolution, enqueue_dgrad),
};

}  // namespace

KernelRows cuda_conv2d_simt_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
