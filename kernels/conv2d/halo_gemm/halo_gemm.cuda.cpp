// "halo_gemm": 3x3 convolutions of stride 1 of nhwc images and their gradients of x on the tensor cores, products in bf16,
// f16 or tf32, and such a convolution with the statistics of the batch normalisation, or with the 2x2 max-pooling, behind it
// (halo_gemm.cuh). It reads an image about once, where implicit_gemm reads it nine times, and filters of up to 256 channels.
// Bound by memory up to about 64 channels.
#include <algorithm>
#include <iterator>

#include "kernels/batchnorm/nhwc_statistics.h"
#include "kernels/conv2d/halo_gemm/halo_gemm.h"
#include "kernels/conv2d/implicit_gemm/launch.h"

namespace xbench {
namespace {

#define XB_HALO_FUNCTIONS(variable, name) \
    constexpr CudaFunction variable[] = { \
        {"halo_gemm_bf16", name "_bf16"}, {"halo_gemm_f16", name "_f16"}, {"halo_gemm_tf32", name "_tf32"}}
XB_HALO_FUNCTIONS(halo_16, "xb_halo_16");
XB_HALO_FUNCTIONS(halo_32, "xb_halo_32");
XB_HALO_FUNCTIONS(halo_64, "xb_halo_64");
XB_HALO_FUNCTIONS(statistics_16, "xb_halo_statistics_16");
XB_HALO_FUNCTIONS(statistics_32, "xb_halo_statistics_32");
XB_HALO_FUNCTIONS(statistics_64, "xb_halo_statistics_64");
XB_HALO_FUNCTIONS(pool_16, "xb_halo_pool_16");
XB_HALO_FUNCTIONS(pool_32, "xb_halo_pool_32");
XB_HALO_FUNCTIONS(pool_64, "xb_halo_pool_64");
XB_HALO_FUNCTIONS(pack, "xb_pack_filters");

int type_of(DType products) { return products == DType::bf16 ? 0 : products == DType::f16 ? 1 : 2; }

constexpr int64_t most_halo_bytes = 99 << 10;  // of shared memory on every GPU from sm_80 on
constexpr int64_t most_packing_bytes = 48 << 10;

// How a product is cut, from the shape of an image and of the filters alone.
struct HaloCut {
    int columns_of_block;  // 0: its filters do not fit
    int blocks;            // of columns
    int shared_bytes;
};

int64_t shared_bytes_of(const HaloProduct& p, int columns) {
    return int64_t{16} * halo_taps * columns * p.units + int64_t{halo_chunk_bytes} * p.tile.halo_pixels();
}

HaloCut cut_of(const HaloProduct& p) {
    for (const int columns : {64, 32, 16}) {
        if (columns > 16 && columns / 2 >= p.columns) continue;
        const int64_t bytes = shared_bytes_of(p, columns);
        if (bytes <= most_halo_bytes)
            return {columns, static_cast<int>(blocks_for(p.columns, columns)), static_cast<int>(bytes)};
    }
    return {};
}

// `source` is what is read: x, or dy.
HaloProduct product_of(const Problem& problem, const Conv2d& a, bool backward) {
    const KernelTensor &source = problem.in[0], &result = problem.out[0];
    const auto size = [](int64_t value) { return static_cast<int32_t>(value); };
    HaloProduct p{};
    p.channels = size(source.dim[1]), p.h = size(source.dim[2]), p.w = size(source.dim[3]);
    p.columns = size(result.dim[1]), p.p = size(result.dim[2]), p.q = size(result.dim[3]);
    p.pad_h = backward ? 2 - a.pad_h : a.pad_h, p.pad_w = backward ? 2 - a.pad_w : a.pad_w;
    p.relu = !backward && a.activation == Activation::relu;
    const int channels_of_chunk = products_of(problem) == DType::tf32 ? 16 : 32;
    p.chunks = size(blocks_for(p.channels, channels_of_chunk));
    p.units = 4 * (p.chunks > 1 ? (p.chunks + 1) / 2 * 2 : 1);
    p.tile = halo_tile(p.p, p.q);
    p.tiles = size(source.dim[0]) * p.tile.of_image;
    return p;
}

int64_t packing_bytes(const HaloProduct& p) { return int64_t{4} * columns_of_packing * halo_taps * p.channels; }

HaloProduct product_of(const Problem& problem, bool backward) {
    return product_of(problem, attributes<Conv2d>(problem), backward);
}
// The pixels of the convolution that windows cover.
HaloProduct pool_product_of(const Problem& problem) {
    Problem whole = problem;
    whole.out[0].dim[2] *= 2, whole.out[0].dim[3] *= 2;
    return product_of(whole, attributes<Conv2dPool>(problem).conv, false);
}

Support takes(const Problem& problem, const Conv2d& a, const HaloProduct& p) {
    const KernelTensor &source = problem.in[0], &result = problem.out[0], &w = problem.in[1];
    if (source.dtype != DType::f32) return refused("element type");
    if (source.layout != Layout::nhwc || result.layout != Layout::nhwc) return refused("layout");
    if (w.layout != Layout::plain) return refused("layout of the filters");
    if (a.r != 3 || a.s != 3) return refused("filter size");
    if (a.stride_h != 1 || a.stride_w != 1) return refused("stride");
    if (a.dilation_h != 1 || a.dilation_w != 1) return refused("dilation");
    if (a.groups != 1) return refused("groups");
    if (a.pad_h > 2 || a.pad_w > 2) return refused("padding");
    if (source.dim[1] % 4 != 0 || result.dim[1] % 4 != 0) return refused("channels that are no multiple of 4");
    for (const KernelTensor* image : {&source, &result})
        if (elements_of_image(*image) >= int64_t{1} << 30 || image->dim[0] >= 65536) return refused("size");
    if (cut_of(p).columns_of_block == 0 || packing_bytes(p) > most_packing_bytes) return refused("size of the filters");
    return both(tensor_core_products(problem), known_attributes(problem));
}
Support takes_forward(const Problem& p) { return takes(p, attributes<Conv2d>(p), product_of(p, false)); }
Support takes_dgrad(const Problem& p) { return takes(p, attributes<Conv2d>(p), product_of(p, true)); }
Support takes_pool(const Problem& p) {
    const auto& a = attributes<Conv2dPool>(p);
    return a.r == 2 && a.s == 2 ? takes(p, a.conv, pool_product_of(p)) : refused("pooling window");
}

size_t packed_bytes(const HaloProduct& p) {
    const HaloCut cut = cut_of(p);
    return size_t{16} * halo_taps * static_cast<size_t>(cut.blocks * cut.columns_of_block * p.units);
}
size_t partial_bytes(const HaloProduct& p) { return sizeof(double) * 2 * static_cast<size_t>(p.tiles) * p.columns; }

template <bool backward>
size_t workspace(const Problem& problem, int) {
    return packed_bytes(product_of(problem, backward));
}
size_t statistics_workspace(const Problem& problem, int) {
    const HaloProduct p = product_of(problem, false);
    return partial_bytes(p) + packed_bytes(p);
}

// Blocks for all multiprocessors, with as many tiles each as the others, if there are so many tiles; of no images none.
unsigned blocks_of_tiles(const HaloProduct& p, const HaloCut& cut, int multiprocessors) {
    if (p.tiles == 0) return 0;
    const int64_t at_once = std::clamp<int64_t>(most_halo_bytes / cut.shared_bytes, 1, 4) * multiprocessors;
    const int64_t rounds = (int64_t{p.tiles} * cut.blocks + at_once - 1) / at_once;
    return blocks_for(p.tiles, rounds);
}

// In each type, for blocks of 64, 32 and 16 columns.
struct HaloKernels {
    const CudaFunction *of_64, *of_32, *of_16;
};
constexpr HaloKernels plain_kernels{halo_64, halo_32, halo_16},
    statistics_kernels{statistics_64, statistics_32, statistics_16}, pool_kernels{pool_64, pool_32, pool_16};

// Everything but the cut and the operands is given; `more` is what the kernel takes behind the product.
template <class... More>
void enqueue_product(const HaloKernels& kernels, HaloProduct p, const KernelArgs& args, bool backward, void* packed,
                     CudaQueue& queue, const More&... more) noexcept {
    const HaloCut cut = cut_of(p);
    const int type = type_of(products_of(args));
    p.source = address<const float>(args.in[0]);
    p.bias = backward ? nullptr : address<const float>(args.in, args.n_in, 2);
    p.filters = packed;
    p.result = address<float>(args.out[0]);
    const PackedFilters filters{
        address<const float>(args.in[1]), packed, p.channels, p.columns, p.units, cut.columns_of_block, backward};
    queue.launch(pack[type], {blocks_for(cut.blocks * cut.columns_of_block, columns_of_packing)}, {halo_threads},
                 static_cast<unsigned>(packing_bytes(p)), filters);
    const CudaFunction* const of_columns = cut.columns_of_block == 64   ? kernels.of_64
                                           : cut.columns_of_block == 32 ? kernels.of_32
                                                                        : kernels.of_16;
    queue.launch(of_columns[type], {blocks_of_tiles(p, cut, queue.multiprocessors()), static_cast<unsigned>(cut.blocks)},
                 {halo_threads}, static_cast<unsigned>(cut.shared_bytes), p, more...);
}

void enqueue(const KernelArgs& args, CudaQueue& queue) noexcept {
    enqueue_product(plain_kernels, product_of(args, false), args, false, args.workspace, queue);
}
void enqueue_dgrad(const KernelArgs& args, CudaQueue& queue) noexcept {
    enqueue_product(plain_kernels, product_of(args, true), args, true, args.workspace, queue);
}

// x, w, [b], running_mean -> y, sums
void enqueue_statistics(const KernelArgs& args, CudaQueue& queue) noexcept {
    HaloProduct p = product_of(args, false);
    p.shift = address<const float>(args.in[3]);
    p.partial = static_cast<double*>(args.workspace);
    enqueue_product(statistics_kernels, p, args, false, static_cast<char*>(args.workspace) + partial_bytes(p), queue);
    sum_parts(args, p.columns, p.tile.of_image, address<double>(args.out[1]), queue);
}

size_t pool_workspace(const Problem& problem, int) { return packed_bytes(pool_product_of(problem)); }

// x, w, [b] -> y, [index]
void enqueue_pool(const KernelArgs& args, CudaQueue& queue) noexcept {
    const HaloPool pool{address<float>(args.out[0]), address<uint8_t>(args.out, args.n_out, 1),
                        attributes<Conv2dPool>(args).dropout};
    enqueue_product(pool_kernels, pool_product_of(args), args, false, args.workspace, queue, pool, queue.step());
}

const Kernel rows[] = {
    cuda_row(OpKind::conv2d, "halo_gemm", takes_forward, enqueue, workspace<false>),
    cuda_row(OpKind::conv2d_statistics, "halo_gemm", takes_forward, enqueue_statistics, statistics_workspace),
    cuda_row(OpKind::conv2d_pool, "halo_gemm", takes_pool, enqueue_pool, pool_workspace),
    cuda_row(OpKind::conv2d_dgrad, "halo_gemm", takes_dgrad, enqueue_dgrad, workspace<true>),
};

}  // namespace

KernelRows cuda_halo_gemm_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
