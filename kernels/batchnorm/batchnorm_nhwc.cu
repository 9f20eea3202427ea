// The parts of a batch normalisation (core/ops.h) of f32 images in nhwc, alone and in front of a max-pooling whose windows
// touch. Neighbouring threads have neighbouring channels, so every access of a warp is one piece. The two sums over the
// batch are taken in double: a block of (32, 8) threads adds a part of an image for 32 channels, then come images and leaves
// (kernels/cuda/image_sums.cuh). Bound by memory.
#include "kernels/batchnorm/input_gradient.cuh"
#include "kernels/batchnorm/nhwc_shape.h"
#include "kernels/batchnorm/normalised_window.cuh"
#include "kernels/batchnorm/plane.cuh"
#include "kernels/cuda/philox.cuh"
#include "kernels/pool2d/window.cuh"

using namespace xbench;

namespace {

// Adds term(offset of a pixel's channel, pair) over this block's part of an image and stores it in partial{images, parts, 2,
// c}.
template <class Term>
__device__ __forceinline__ void sum_part(const NhwcShape& s, int c, double* partial, Term&& term) {
    __shared__ Pair scratch[nhwc_rows][nhwc_columns];
    const int part = static_cast<int>(blockIdx.x) % s.parts, image = static_cast<int>(blockIdx.x) / s.parts;
    const int first = part * s.part_pixels, end = min(first + s.part_pixels, s.pixels);
    Pair pair{0, 0};
    if (c < s.channels)
        for (int pixel = first + static_cast<int>(threadIdx.y); pixel < end; pixel += nhwc_rows)
            term((static_cast<int64_t>(image) * s.pixels + pixel) * s.channels + c, pair);
    scratch[threadIdx.y][threadIdx.x] = pair;
    __syncthreads();
    if (threadIdx.y > 0 || c >= s.channels) return;
    for (int row = 1; row < nhwc_rows; ++row) {
        pair.first += scratch[row][threadIdx.x].first;
        pair.second += scratch[row][threadIdx.x].second;
    }
    store_sums(partial, pair, blockIdx.x, s.channels, c);
}

__device__ __forceinline__ int channel_of_block() { return static_cast<int>(blockIdx.y * nhwc_columns + threadIdx.x); }

// An element of an image, for grids of blocks_of_image blocks of each.
__device__ __forceinline__ int element_of_image(unsigned blocks_of_image) {
    return static_cast<int>(blockIdx.x % blocks_of_image * blockDim.x + threadIdx.x);
}

}  // namespace

extern "C" __global__ void __launch_bounds__(256)
    statistics_nhwc(const float* x, const float* shift, double* partial, NhwcShape s) {
    const int c = channel_of_block();
    const double shift_c = c < s.channels ? shift[c] : 0.0f;
    sum_part(s, c, partial, [&](int64_t at, Pair& pair) {
        const double d = static_cast<double>(x[at]) - shift_c;
        pair.first += d;
        pair.second = fma(d, d, pair.second);
    });
}

extern "C" __global__ void __launch_bounds__(256)
    gradient_statistics_nhwc(const float* x, const float* dy, const float* mean_rstd, const float* y, double* partial,
                             NhwcShape s) {
    const int c = channel_of_block();
    const Norm norm(mean_rstd, s.channels, min(c, s.channels - 1));
    sum_part(s, c, partial, [&](int64_t at, Pair& pair) {
        if (y && !(y[at] > 0)) return;
        const double d = dy[at];
        pair.first += d;
        pair.second = fma(d, static_cast<double>(norm(x[at])), pair.second);
    });
}

extern "C" __global__ void __launch_bounds__(256)
    pooled_statistics_nhwc(const float* xhat, const float* dy, const uint8_t* index, double* partial, float scale,
                           NhwcShape s) {
    sum_part(s, channel_of_block(), partial, [&](int64_t at, Pair& pair) {
        if (index && index[at] == closed_window) return;
        const double d = static_cast<double>(dy[at] * scale);
        pair.first += d;
        pair.second = fma(d, static_cast<double>(xhat[at]), pair.second);
    });
}

extern "C" __global__ void normalise_nhwc(const float* x, const float* mean_rstd, const float* gamma, const float* beta,
                                          float* y, NhwcShape s, int with_relu) {
    const int count = s.channels * s.pixels, at = element_of_image(s.blocks_of_image);
    if (at >= count) return;
    const int64_t place = static_cast<int64_t>(blockIdx.x / s.blocks_of_image) * count + at;
    const int c = at % s.channels;
    const Norm norm(mean_rstd, s.channels, c);
    const float value = fmaf(x[place] - norm.mean, norm.rstd * gamma[c], beta[c]);
    y[place] = with_relu ? relu(value) : value;
}

extern "C" __global__ void normalisation_gradient_nhwc(const float* x, const float* dy, const float* mean_rstd,
                                                       const float* gamma, const double* sums, const float* y, float* dx,
                                                       NhwcShape s, BatchNorm a, const StepContext* step) {
    const int count = s.channels * s.pixels, at = element_of_image(s.blocks_of_image);
    if (at >= count) return;
    const int64_t place = static_cast<int64_t>(blockIdx.x / s.blocks_of_image) * count + at;
    const InputGradient gradient = input_gradient(mean_rstd, gamma, sums, s.channels, at % s.channels, a, step);
    dx[place] = gradient(x[place], !y || y[place] > 0 ? dy[place] : 0.0f);
}

// A thread takes a window.
extern "C" __global__ void normalise_pool_nhwc(const float* x, const float* mean_rstd, const float* gamma, const float* beta,
                                               float* y, uint8_t* index, float* xhat, PoolShape s, BatchNormPool a,
                                               const StepContext* step) {
    const int o = place_in_image(s);
    if (o >= y_count(s)) return;
    const int c = o % s.channels, pixel = o / s.channels, i = pixel / s.q, j = pixel - i * s.q;
    const float* const corner = x + image_of(s) * x_count(s) + (i * a.r * s.w + j * a.s) * s.channels + c;
    NormalisedWindow window(mean_rstd, gamma, beta, s.channels, c);
    for (int r = 0; r < a.r; ++r)
        for (int t = 0; t < a.s; ++t) window.meet(corner[(r * s.w + t) * s.channels], r * a.s + t);
    store_window(window, {y, index, xhat}, a, KeepMask(a.dropout, step, s.p * s.q), image_of(s), c, pixel,
                 image_of(s) * y_count(s) + o);
}

extern "C" __global__ void normalise_pool_gradient_nhwc(const float* x, const float* dy, const uint8_t* index,
                                                        const float* mean_rstd, const float* gamma, const double* sums,
                                                        float* dx, PoolShape s, BatchNormPool a, const StepContext* step) {
    const int o = place_in_image(s);
    if (o >= x_count(s)) return;
    const int c = o % s.channels, pixel = o / s.channels, i = pixel / s.w, j = pixel - i * s.w;
    const InputGradient gradient = input_gradient(mean_rstd, gamma, sums, s.channels, c, a.norm, step);
    const int p = i / a.r, q = j / a.s;
    float d = 0;
    if (p < s.p && q < s.q) {  // odd sizes leave a rim that no window covers
        const int64_t from = image_of(s) * y_count(s) + (p * s.q + q) * s.channels + c;
        if (index[from] == (i - p * a.r) * a.s + j - q * a.s) d = dy[from] * (1.0f / (1.0f - a.dropout.p));
    }
    const int64_t place = image_of(s) * x_count(s) + o;
    dx[place] = gradient(x[place], d);
}
