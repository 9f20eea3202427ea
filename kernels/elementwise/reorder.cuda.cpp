// "transpose": reorder between plain and nhwc f32 images on a GPU, and flatten, which makes plain rows of nhwc images or, in
// the backward pass, the other way round.
#include <algorithm>

#include "kernels/cuda/row.h"
#include "kernels/elementwise/reorder_tile.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(plain_to_nhwc, reorder, plain_to_nhwc);
XB_CUDA_FUNCTION(nhwc_to_plain, reorder, nhwc_to_plain);

constexpr unsigned threads = 256;

bool is(const KernelTensor& tensor, Layout layout) { return tensor.layout == layout && tensor.rank == 4; }

Support takes(const Problem& problem) {
    const KernelTensor &x = problem.in[0], &y = problem.out[0];
    if (x.dtype != DType::f32 || y.dtype != DType::f32) return refused("element type");
    const bool known = (is(x, Layout::plain) && is(y, Layout::nhwc)) || (is(x, Layout::nhwc) && is(y, Layout::plain));
    if (!known) return refused("layout");
    return elements_of_image(x) < int64_t{1} << 30 && x.dim[0] < 65536 ? supported : refused("size");
}

// Some 1024 elements. A warp meets `32 / channels` pixels of each channel at once, which are as many banks.
ReorderTile tile_of(const KernelTensor& x) {
    ReorderTile t{static_cast<int32_t>(x.dim[1]), static_cast<int32_t>(x.dim[2] * x.dim[3]), 0, 0, 0};
    t.channels = std::min(t.all_channels, 32);
    t.pixels = std::max(1024 / t.channels / 32 * 32, 32);
    t.pitch = t.pixels + (32 + t.channels - 1) / t.channels % 32;
    return t;
}

const KernelTensor& images_of(const Problem& problem) { return problem.in[0].rank == 4 ? problem.in[0] : problem.out[0]; }

Support takes_flat(const Problem& problem) {
    const KernelTensor &x = problem.in[0], &y = problem.out[0], &images = images_of(problem);
    if (x.dtype != DType::f32 || y.dtype != DType::f32) return refused("element type");
    if (!is(images, Layout::nhwc) || (x.rank == 4 && y.rank == 4)) return refused("layout");
    return elements_of_image(x) < int64_t{1} << 30 && x.dim[0] < 65536 ? supported : refused("size");
}

void enqueue(const KernelArgs& args, CudaQueue& queue) noexcept {
    const KernelTensor& x = args.in[0];
    const ReorderTile t = tile_of(images_of(args));
    const Extent blocks{blocks_for(t.all_pixels, t.pixels), blocks_for(t.all_channels, t.channels),
                        static_cast<unsigned>(x.dim[0])};
    queue.launch(is(x, Layout::nhwc) ? nhwc_to_plain : plain_to_nhwc, blocks, {threads},
                 static_cast<unsigned>(4 * t.channels * t.pitch), address<const float>(x), address<float>(args.out[0]), t);
}

const Kernel rows[] = {
    cuda_row(OpKind::reorder, "transpose", takes, enqueue),
    cuda_row(OpKind::flatten, "transpose", takes_flat, enqueue),
};

}  // namespace

KernelRows cuda_reorder_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
