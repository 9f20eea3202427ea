// "simt": the parts of a batch normalisation of plain f32 images on a GPU. The workspace of the statistics holds the two
// sums of each channel of each image.
#include "kernels/cuda/image_sums.h"
#include "kernels/cuda/row.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(statistics_by_warp, batchnorm, statistics_by_warp);
XB_CUDA_FUNCTION(statistics_by_block, batchnorm, statistics_by_block);
XB_CUDA_FUNCTION(gradient_statistics_by_warp, batchnorm, gradient_statistics_by_warp);
XB_CUDA_FUNCTION(gradient_statistics_by_block, batchnorm, gradient_statistics_by_block);
XB_CUDA_FUNCTION(sum_statistics, batchnorm, sum_statistics);
XB_CUDA_FUNCTION(finalize_statistics, batchnorm, finalize_statistics);
XB_CUDA_FUNCTION(inference_statistics, batchnorm, inference_statistics);
XB_CUDA_FUNCTION(gradient_parameters, batchnorm, gradient_parameters);
XB_CUDA_FUNCTION(normalise, batchnorm, normalise);
XB_CUDA_FUNCTION(normalisation_gradient, batchnorm, normalisation_gradient);

constexpr unsigned threads = 256;
constexpr int most_pixels_of_a_warp = 1024;  // a larger channel of an image has a block of its own

struct Images {
    int64_t n;
    int channels, pixels;
    explicit Images(const KernelTensor& x)
        : n(x.dim[0]), channels(static_cast<int>(x.dim[1])), pixels(static_cast<int>(x.dim[2] * x.dim[3])) {}
    int64_t planes() const { return n * channels; }
    bool large() const { return pixels > most_pixels_of_a_warp; }
    Extent blocks_of_planes() const {
        return {large() ? static_cast<unsigned>(planes()) : blocks_for(planes(), threads / 32)};
    }
    unsigned blocks_of_image() const { return blocks_for(int64_t{channels} * pixels, 4 * threads); }
    Extent blocks() const { return {static_cast<unsigned>(n) * blocks_of_image()}; }
    template <class... Pointers>
    int vectors(const Pointers*... pointers) const {
        return pixels % 4 == 0 && are_vectors(pointers...);
    }
};

// Positions inside an image are 32 bits wide.
Support takes_images(const Problem& problem) {
    return both(plain_f32_input(problem), elements_of_image(problem.in[0]) < int64_t{1} << 30 ? supported : refused("size"));
}

size_t workspace(const Problem& problem, int) {
    return sizeof(double) * 2 * static_cast<size_t>(problem.in[0].dim[0] * problem.in[0].dim[1]);
}

void sum_images(const KernelArgs& args, const Images& images, CudaQueue& queue) noexcept {
    const int64_t width = 2 * int64_t{images.channels};
    queue.launch(sum_statistics, {blocks_for(width, sum_columns)}, {sum_columns, sum_lanes}, 0,
                 image_partials(static_cast<const double*>(args.workspace), width), queue.step(),
                 address<double>(args.out[0]));
}

void enqueue_statistics(const KernelArgs& args, CudaQueue& queue) noexcept {
    const Images images(args.in[0]);
    const auto* x = address<const float>(args.in[0]);
    queue.launch(images.large() ? statistics_by_block : statistics_by_warp, images.blocks_of_planes(), {threads}, 0, x,
                 address<const float>(args.in[1]), static_cast<double*>(args.workspace), images.planes(), images.channels,
                 images.pixels, images.vectors(x));
    sum_images(args, images, queue);
}

void enqueue_grad_statistics(const KernelArgs& args, CudaQueue& queue) noexcept {
    const Images images(args.in[0]);
    const auto *x = address<const float>(args.in[0]), *dy = address<const float>(args.in[1]),
               *y = address<const float>(args.in, args.n_in, 3);
    queue.launch(images.large() ? gradient_statistics_by_block : gradient_statistics_by_warp, images.blocks_of_planes(),
                 {threads}, 0, x, dy, address<const float>(args.in[2]), y, static_cast<double*>(args.workspace),
                 images.planes(), images.channels, images.pixels, images.vectors(x, dy, y));
    sum_images(args, images, queue);
}

void enqueue_finalize(const KernelArgs& args, CudaQueue& queue) noexcept {
    const int channels = static_cast<int>(args.out[0].dim[1]);
    queue.launch(finalize_statistics, {blocks_for(channels, threads)}, {threads}, 0, address<const double>(args.in[0]),
                 address<const float>(args.in[1]), address<const float>(args.in[2]), address<float>(args.out[0]),
                 address<float>(args.out[1]), address<float>(args.out[2]), channels, attributes<BatchNorm>(args),
                 queue.step());
}

void enqueue_inference(const KernelArgs& args, CudaQueue& queue) noexcept {
    const int channels = static_cast<int>(args.out[0].dim[1]);
    queue.launch(inference_statistics, {blocks_for(channels, threads)}, {threads}, 0, address<const float>(args.in[0]),
                 address<const float>(args.in[1]), address<float>(args.out[0]), channels, attributes<BatchNorm>(args).eps);
}

void enqueue_grad_parameters(const KernelArgs& args, CudaQueue& queue) noexcept {
    const int channels = static_cast<int>(args.out[0].dim[0]);
    queue.launch(gradient_parameters, {blocks_for(channels, threads)}, {threads}, 0, address<const double>(args.in[0]),
                 address<float>(args.out[0]), address<float>(args.out[1]), channels, queue.step());
}

void enqueue_apply(const KernelArgs& args, CudaQueue& queue) noexcept {
    const Images images(args.in[0]);
    const auto* x = address<const float>(args.in[0]);
    auto* y = address<float>(args.out[0]);
    queue.launch(normalise, images.blocks(), {threads}, 0, x, address<const float>(args.in[1]),
                 address<const float>(args.in[2]), address<const float>(args.in[3]), y, images.channels, images.pixels,
                 images.blocks_of_image(), int{attributes<BatchNorm>(args).activation == Activation::relu},
                 images.vectors(x, y));
}

void enqueue_grad_input(const KernelArgs& args, CudaQueue& queue) noexcept {
    const Images images(args.in[0]);
    const auto *x = address<const float>(args.in[0]), *dy = address<const float>(args.in[1]),
               *y = address<const float>(args.in, args.n_in, 5);
    auto* dx = address<float>(args.out[0]);
    queue.launch(normalisation_gradient, images.blocks(), {threads}, 0, x, dy, address<const float>(args.in[2]),
                 address<const float>(args.in[3]), address<const double>(args.in[4]), y, dx, images.channels, images.pixels,
                 images.blocks_of_image(), attributes<BatchNorm>(args), queue.step(), images.vectors(x, dy, y, dx));
}

const Kernel rows[] = {
    cuda_row(OpKind::batchnorm_statistics, "simt", takes_images, enqueue_statistics, workspace),
    cuda_row(OpKind::batchnorm_finalize, "simt", plain_f32_output, enqueue_finalize),
    cuda_row(OpKind::batchnorm_inference, "simt", plain_f32_input, enqueue_inference),
    cuda_row(OpKind::batchnorm_apply, "simt", takes_images, enqueue_apply),
    cuda_row(OpKind::batchnorm_grad_statistics, "simt", takes_images, enqueue_grad_statistics, workspace),
    cuda_row(OpKind::batchnorm_grad_parameters, "simt", plain_f32_output, enqueue_grad_parameters),
    cuda_row(OpKind::batchnorm_grad_input, "simt", takes_images, enqueue_grad_input),
};

}  // namespace

KernelRows cuda_batchnorm_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
