// "stem": a first layer of few channels, products in f32, from plain images to nhwc ones on a GPU, and the gradient of its
// filters.
#include <algorithm>

#include "kernels/conv2d/stem_nhwc.h"
#include "kernels/cuda/image_sums.h"
#include "kernels/cuda/row.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(stem_forward, stem_nhwc, stem_forward);
XB_CUDA_FUNCTION(stem_gradient, stem_nhwc, stem_gradient);
XB_CUDA_FUNCTION(finish_stem, stem_nhwc, finish_stem);

constexpr int64_t most_channels = 4, most_shared_bytes = 48 << 10;
constexpr int32_t pixels_of_part = 1024;

StemShape shape_of(const Problem& problem, const KernelTensor& x, const KernelTensor& y, bool with_bias) {
    const auto& a = attributes<Conv2d>(problem);
    const auto size = [](int64_t value) { return static_cast<int32_t>(value); };
    StemShape s{};
    s.c = size(x.dim[1]), s.h = size(x.dim[2]), s.w = size(x.dim[3]);
    s.k = size(y.dim[1]), s.p = size(y.dim[2]), s.q = size(y.dim[3]), s.r = a.r, s.s = a.s;
    s.stride_h = a.stride_h, s.stride_w = a.stride_w, s.pad_h = a.pad_h, s.pad_w = a.pad_w;
    s.dilation_h = a.dilation_h, s.dilation_w = a.dilation_w;
    s.quads = (s.k + 3) / 4;
    s.part_pixels = pixels_of_part;
    s.parts = (s.p * s.q + pixels_of_part - 1) / pixels_of_part;
    s.width = int64_t{s.k} * s.c * s.r * s.s + (with_bias ? s.k : 0);
    return s;
}
int64_t shared_bytes(const StemShape& s) { return int64_t{16} * s.c * s.r * s.s * s.quads; }

Support takes(const Problem& problem, const KernelTensor& x, const KernelTensor& y, const KernelTensor& w) {
    if (x.dtype != DType::f32) return refused("element type");
    if (x.layout != Layout::plain || y.layout != Layout::nhwc || w.layout != Layout::plain) return refused("layout");
    if (products_of(problem) != DType::f32) return refused("type of products");
    if (attributes<Conv2d>(problem).groups != 1) return refused("groups");
    if (x.dim[1] > most_channels) return refused("channels");
    if (shared_bytes(shape_of(problem, x, y, false)) > most_shared_bytes) return refused("size of the filters");
    if (std::max(elements_of_image(x), elements_of_image(y)) >= int64_t{1} << 30 || x.dim[0] >= 65536)
        return refused("size");
    return known_attributes(problem);
}
Support takes_forward(const Problem& p) { return takes(p, p.in[0], p.out[0], p.in[1]); }
Support takes_wgrad(const Problem& p) { return takes(p, p.in[0], p.in[1], p.out[0]); }

void enqueue_forward(const KernelArgs& args, CudaQueue& queue) noexcept {
    const StemShape s = shape_of(args, args.in[0], args.out[0], false);
    auto* y = address<float>(args.out[0]);
    queue.launch(stem_forward,
                 {blocks_for(int64_t{s.p} * s.q, pixels_of_stem_block), static_cast<unsigned>(args.in[0].dim[0])},
                 {stem_threads}, static_cast<unsigned>(shared_bytes(s)), address<const float>(args.in[0]),
                 address<const float>(args.in[1]), address<const float>(args.in, args.n_in, 2), y, s,
                 int{attributes<Conv2d>(args).activation == Activation::relu}, int{s.k % 4 == 0 && are_vectors(y)});
}

bool with_bias(const Problem& problem) { return problem.n_out > 1 && problem.out[1].rank > 0; }

size_t workspace(const Problem& problem, int) {
    const StemShape s = shape_of(problem, problem.in[0], problem.in[1], with_bias(problem));
    return sizeof(float) * static_cast<size_t>(problem.in[0].dim[0] * s.parts * s.width);
}

void enqueue_wgrad(const KernelArgs& args, CudaQueue& queue) noexcept {
    const StemShape s = shape_of(args, args.in[0], args.in[1], with_bias(args));
    const int64_t filters = int64_t{s.k} * s.c * s.r * s.s;
    auto* partial = static_cast<float*>(args.workspace);
    queue.launch(stem_gradient,
                 {static_cast<unsigned>(args.in[0].dim[0] * s.parts), blocks_for(s.k, 32),
                  blocks_for(s.c * s.r * s.s, stem_rows * elements_of_stem_thread)},
                 {32, stem_rows}, 0, address<const float>(args.in[0]), address<const float>(args.in[1]), partial, s,
                 int{with_bias(args)});
    queue.launch(finish_stem, {blocks_for(s.width, sum_columns)}, {sum_columns, sum_lanes}, 0,
                 image_partials(static_cast<const float*>(partial), s.width, s.parts), queue.step(),
                 address<float>(args.out[0]), address<float>(args.out, args.n_out, 1), filters);
}

const Kernel rows[] = {
    cuda_row(OpKind::conv2d, "stem", takes_forward, enqueue_forward),
    cuda_row(OpKind::conv2d_wgrad, "stem", takes_wgrad, enqueue_wgrad, workspace),
};

}  // namespace

KernelRows cuda_stem_nhwc_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
