// "halo_gemm": the gradients of 3x3 filters of stride 1 and of the bias on the tensor cores, nhwc images, products in bf16
// or f16 (halo_wgrad.cuh). The workspace holds the partial sums of parts of images, or of some images of a leaf. Bound by
// memory up to about 64 channels.
#include <algorithm>
#include <iterator>

#include "kernels/conv2d/halo_gemm/halo_wgrad.h"
#include "kernels/conv2d/implicit_gemm/launch.h"

namespace xbench {
namespace {

struct WgradFunction {
    CudaFunction bf16, f16;
    int channels, filters;
};
#define XB_WGRAD_FUNCTION(name, B)                                                                                         \
    WgradFunction {                                                                                                        \
        {"halo_wgrad_bf16", "xb_halo_wgrad_" name "_bf16"}, {"halo_wgrad_f16", "xb_halo_wgrad_" name "_f16"}, B::channels, \
            B::filters                                                                                                     \
    }
constexpr WgradFunction wide = XB_WGRAD_FUNCTION("wide", WideWgrad), medium = XB_WGRAD_FUNCTION("medium", MediumWgrad),
                        narrow = XB_WGRAD_FUNCTION("narrow", NarrowWgrad), low = XB_WGRAD_FUNCTION("low", LowWgrad),
                        lowest = XB_WGRAD_FUNCTION("lowest", LowestWgrad);

const WgradFunction& function_of(const HaloWgrad& p) {
    if (p.channels > 16 && p.filters > 32) return p.channels > 32 ? wide : medium;
    if (p.channels > 16) return narrow;
    return p.channels > 8 || p.filters > 16 ? low : lowest;
}

// Units whose partial sums are an eighth of what they are made of, by the shapes of an image and of the filters alone: parts
// of an image, or images of a leaf, but not so many of these that too few blocks are left.
void choose_units(HaloWgrad& p) {
    constexpr int64_t times = 8, most_images = 4;
    const int64_t image = int64_t{p.channels} * p.h * p.w + int64_t{p.filters} * p.p * p.q, sums = p.width;
    const int64_t parts = std::clamp<int64_t>(image / (times * sums), 1, p.tile.of_image);
    p.tiles_of_part = static_cast<int32_t>((p.tile.of_image + parts - 1) / parts);
    p.parts = (p.tile.of_image + p.tiles_of_part - 1) / p.tiles_of_part;
    p.images_of_unit = static_cast<int32_t>(std::clamp<int64_t>(times * sums / image, 1, most_images));
}

HaloWgrad gradient_of(const Problem& problem) {
    const auto& a = attributes<Conv2d>(problem);
    const KernelTensor &x = problem.in[0], &dy = problem.in[1];
    const auto size = [](int64_t value) { return static_cast<int32_t>(value); };
    HaloWgrad p{};
    p.channels = size(x.dim[1]), p.h = size(x.dim[2]), p.w = size(x.dim[3]);
    p.filters = size(dy.dim[1]), p.p = size(dy.dim[2]), p.q = size(dy.dim[3]);
    p.pad_h = a.pad_h, p.pad_w = a.pad_w;
    p.tile = halo_tile(p.p, p.q);
    p.with_bias = problem.n_out > 1 && problem.out[1].rank > 0;
    p.width = int64_t{p.filters} * p.channels * halo_taps + (p.with_bias ? p.filters : 0);
    choose_units(p);
    return p;
}

Support takes(const Problem& problem) {
    const auto& a = attributes<Conv2d>(problem);
    const KernelTensor &x = problem.in[0], &dy = problem.in[1];
    if (x.dtype != DType::f32) return refused("element type");
    if (x.layout != Layout::nhwc || dy.layout != Layout::nhwc) return refused("layout");
    if (problem.out[0].layout != Layout::plain) return refused("layout of the filters");
    if (a.r != 3 || a.s != 3) return refused("filter size");
    if (a.stride_h != 1 || a.stride_w != 1) return refused("stride");
    if (a.dilation_h != 1 || a.dilation_w != 1) return refused("dilation");
    if (a.groups != 1) return refused("groups");
    if (a.pad_h > 2 || a.pad_w > 2) return refused("padding");
    if (x.dim[1] % 4 != 0 || dy.dim[1] % 4 != 0) return refused("channels that are no multiple of 4");
    for (const KernelTensor* image : {&x, &dy})
        if (elements_of_image(*image) >= int64_t{1} << 30 || image->dim[0] >= 65536) return refused("size");
    const DType products = products_of(problem);
    if (products != DType::bf16 && products != DType::f16) return refused("products");
    return known_attributes(problem);
}

size_t workspace(const Problem& problem, int) {
    const HaloWgrad p = gradient_of(problem);
    return sizeof(float) * static_cast<size_t>(problem.in[0].dim[0] * p.parts * p.width);
}

// x, dy -> dw, [db]
void enqueue(const KernelArgs& args, CudaQueue& queue) noexcept {
    HaloWgrad p = gradient_of(args);
    const WgradFunction& function = function_of(p);
    p.x = address<const float>(args.in[0]), p.dy = address<const float>(args.in[1]);
    p.partial = static_cast<float*>(args.workspace);
    p.blocks_of_channels = static_cast<int32_t>(blocks_for(p.channels, function.channels));
    const unsigned blocks = static_cast<unsigned>(p.blocks_of_channels) * blocks_for(p.filters, function.filters);
    const int bytes = 2 * (halo_pixels_of_tile * function.filters + p.tile.halo_pixels() * function.channels);
    const bool bf16 = products_of(args) == DType::bf16;
    queue.launch(bf16 ? function.bf16 : function.f16, {static_cast<unsigned>(args.in[0].dim[0] * p.parts), blocks},
                 {halo_threads}, static_cast<unsigned>(bytes), p, queue.step());
    FinishedGradient finished{};  // sums lie as the parameters do
    finished.filters = address<float>(args.out[0]), finished.bias = address<float>(args.out, args.n_out, 1);
    finished.count = p.filters, finished.channels = finished.pitch = p.channels * halo_taps, finished.taps = 1;
    const Partials<float> partials{p.partial, p.width, p.parts, 0, p.images_of_unit};
    queue.launch(finish_filters, {blocks_for(p.width, sum_columns)}, {sum_columns, sum_lanes}, 0, finished, partials,
                 queue.step());
}

const Kernel rows[] = {cuda_row(OpKind::conv2d_wgrad, "halo_gemm", takes, enqueue, workspace)};

}  // namespace

KernelRows cuda_halo_wgrad_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
