// The parts of a batch normalisation (core/ops.h) of f32 images in nhwc. A thread has four channels and every so many pixels
// of a part of an image (kernels/cuda/nhwc_walk.cuh), with what it needs of its channels in registers. The two sums over the
// batch are taken in double: parts of images here, then images and leaves (kernels/cuda/image_sums.cuh). Bound by memory.
#include "kernels/batchnorm/input_gradient.cuh"
#include "kernels/batchnorm/nhwc_sums.cuh"

using namespace xbench;

namespace {

template <int vec>
__device__ __forceinline__ void statistics(const float* x, const float* shift, double* partial, const NhwcWalk& walk) {
    const NhwcPlace<vec> place(walk);
    const auto shifts = of_channels<vec, 1>(walk, place, [&](int c, float(&made)[1]) { made[0] = shift[c]; });
    ChannelPairs<vec> pairs;
    place.for_each_item(walk, [&](int pixel) {
        const auto value = load_channels<vec>(x + place.element(walk, walk.items, pixel));
#pragma unroll
        for (int i = 0; i < vec; ++i) {
            const double d = static_cast<double>(value.v[i]) - static_cast<double>(shifts.v[0][i]);
            pairs.add(i, d, d);
        }
    });
    pairs.store(partial, walk, place);
}

// y: null, or the output of a ReLU behind the normalisation, whose gradient comes along.
template <int vec>
__device__ __forceinline__ void gradient_statistics(const float* x, const float* dy, const float* mean_rstd, const float* y,
                                                    double* partial, const NhwcWalk& walk) {
    const NhwcPlace<vec> place(walk);
    const auto norms = of_channels<vec, 2>(
        walk, place, [&](int c, float(&made)[2]) { made[0] = mean_rstd[c], made[1] = mean_rstd[walk.channels + c]; });
    ChannelPairs<vec> pairs;
    place.for_each_item(walk, [&](int pixel) {
        const int64_t at = place.element(walk, walk.items, pixel);
        const auto value = load_channels<vec>(x + at), gradient = load_channels<vec>(dy + at);
        const auto output = y ? load_channels<vec>(y + at) : value;
#pragma unroll
        for (int i = 0; i < vec; ++i)
            if (!y || output.v[i] > 0) pairs.add(i, gradient.v[i], Norm(norms.v[0][i], norms.v[1][i])(value.v[i]));
    });
    pairs.store(partial, walk, place);
}

template <int vec>
__device__ __forceinline__ void normalise(const float* x, const float* mean_rstd, const float* gamma, const float* beta,
                                          float* y, const NhwcWalk& walk, int with_relu) {
    const NhwcPlace<vec> place(walk);
    const auto numbers = of_channels<vec, 3>(walk, place, [&](int c, float(&made)[3]) {
        const Norm norm(mean_rstd, walk.channels, c);
        made[0] = norm.mean, made[1] = norm.rstd * gamma[c], made[2] = beta[c];
    });
    place.for_each_item(walk, [&](int pixel) {
        const int64_t at = place.element(walk, walk.items, pixel);
        auto value = load_channels<vec>(x + at);
#pragma unroll
        for (int i = 0; i < vec; ++i) {
            value.v[i] = fmaf(value.v[i] - numbers.v[0][i], numbers.v[1][i], numbers.v[2][i]);
            if (with_relu) value.v[i] = relu(value.v[i]);
        }
        store_channels<vec>(y + at, value);
    });
}

template <int vec>
__device__ __forceinline__ void normalisation_gradient(const float* x, const float* dy, const float* mean_rstd,
                                                       const float* gamma, const double* sums, const float* y, float* dx,
                                                       const NhwcWalk& walk, const BatchNorm& a, const StepContext* step) {
    const NhwcPlace<vec> place(walk);
    const InputGradients<vec> gradients(walk, place, mean_rstd, gamma, sums, a, step);
    place.for_each_item(walk, [&](int pixel) {
        const int64_t at = place.element(walk, walk.items, pixel);
        const auto value = load_channels<vec>(x + at), gradient = load_channels<vec>(dy + at);
        const auto output = y ? load_channels<vec>(y + at) : value;
        Channels<vec> made;
#pragma unroll
        for (int i = 0; i < vec; ++i) made.v[i] = gradients.of(i)(value.v[i], !y || output.v[i] > 0 ? gradient.v[i] : 0.0f);
        store_channels<vec>(dx + at, made);
    });
}

}  // namespace

XB_NHWC_KERNEL(statistics_nhwc, (const float* x, const float* shift, double* partial, NhwcWalk walk), statistics,
               (x, shift, partial, walk))
XB_NHWC_KERNEL(gradient_statistics_nhwc,
               (const float* x, const float* dy, const float* mean_rstd, const float* y, double* partial, NhwcWalk walk),
               gradient_statistics, (x, dy, mean_rstd, y, partial, walk))
XB_NHWC_KERNEL(normalise_nhwc,
               (const float* x, const float* mean_rstd, const float* gamma, const float* beta, float* y, NhwcWalk walk,
                int with_relu),
               normalise, (x, mean_rstd, gamma, beta, y, walk, with_relu))
XB_NHWC_KERNEL(normalisation_gradient_nhwc,
               (const float* x, const float* dy, const float* mean_rstd, const float* gamma, const double* sums,
                const float* y, float* dx, NhwcWalk walk, BatchNorm a, const StepContext* step),
               normalisation_gradient, (x, dy, mean_rstd, gamma, sums, y, dx, walk, a, step))
