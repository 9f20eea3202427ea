// "gemm": the gradients of the filters and of the bias, plain f32 images on a GPU, all that core/ops.h allows. The workspace
// holds the partial sums {parts of images or leaves, k, (channel, r, s) and bias}.
#include <algorithm>

#include "kernels/conv2d/conv_args.h"
#include "kernels/cuda/image_sums.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(conv_wgrad_parts, conv2d_wgrad_simt, conv_wgrad_parts);
XB_CUDA_FUNCTION(conv_wgrad_finish, conv2d_wgrad_simt, conv_wgrad_finish);

constexpr unsigned threads = 128;
constexpr int filters_of_tile = 32, columns_of_tile = 64;

Extent tiles_of(const ConvShape& s) {
    return {blocks_for(s.depth() + 1, columns_of_tile),
            static_cast<unsigned>(s.groups) * blocks_for(s.filters_of_group(), filters_of_tile)};
}

// From the shape of an image alone, so that the sums do not depend on the batch. Many tiles are work enough for a leaf at a
// time; few are cut into images and parts of them, whose partial sums are small then.
WgradCut cut_of(const ConvShape& s) {
    const Extent tiles = tiles_of(s);
    const int pixels = s.p * s.q, count = static_cast<int>(tiles.x * tiles.y);
    if (count >= 32) return {1, 1, pixels};
    const int parts = std::clamp(std::min(pixels / 512, 16 / count), 1, 16);
    return {0, parts, ((pixels + parts - 1) / parts + 15) / 16 * 16};
}

int64_t width_of(const ConvShape& s) { return int64_t{s.k} * (s.depth() + 1); }

size_t workspace(const Problem& problem, int) {
    const ConvShape s = conv_shape(attributes<Conv2d>(problem), problem.in[0], problem.in[1]);
    const WgradCut cut = cut_of(s);
    const int64_t chunks = cut.of_leaves ? problem.leaves : problem.in[0].dim[0] * cut.parts;
    return sizeof(float) * static_cast<size_t>(chunks * width_of(s));
}

// x, dy -> dw, [db]
void enqueue(const KernelArgs& args, CudaQueue& queue) noexcept {
    const ConvShape s = conv_shape(attributes<Conv2d>(args), args.in[0], args.in[1]);
    const WgradCut cut = cut_of(s);
    Extent blocks = tiles_of(s);
    blocks.z = static_cast<unsigned>(cut.of_leaves ? args.leaves : args.in[0].dim[0] * cut.parts);
    auto* partial = static_cast<float*>(args.workspace);
    queue.launch(conv_wgrad_parts, blocks, {threads}, 0, address<const float>(args.in[0]), address<const float>(args.in[1]),
                 partial, s, cut, queue.step());
    queue.launch(conv_wgrad_finish, {blocks_for(width_of(s), sum_columns)}, {sum_columns, sum_lanes}, 0,
                 Partials<float>{partial, width_of(s), cut.parts, cut.of_leaves}, queue.step(), address<float>(args.out[0]),
                 address<float>(args.out, args.n_out, 1), s.depth() + 1);
}

const Kernel rows[] = {cuda_row(OpKind::conv2d_wgrad, "gemm", takes_convolution, enqueue, workspace)};

}  // namespace

KernelRows cuda_conv2d_wgrad_simt_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
