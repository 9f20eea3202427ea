// The parts of a batch normalisation (core/ops.h) of plain f32 images. The two sums over the batch are taken in double: a
// group of threads a channel of an image, then leaf by leaf (kernels/cuda/image_sums.cuh). Everything else is one pass with
// 128-bit accesses where a channel's pixels are a multiple of four. Bound by memory.
#include "kernels/batchnorm/input_gradient.cuh"
#include "kernels/batchnorm/plane.cuh"
#include "kernels/cuda/image_sums.cuh"

using namespace xbench;

namespace {

// The planes of a block of 256 threads, `threads` for each.
template <int threads>
__device__ __forceinline__ int64_t plane_of_group() {
    return static_cast<int64_t>(blockIdx.x) * (blockDim.x / threads) + threadIdx.x / threads;
}

template <int threads>
__device__ __forceinline__ void statistics_of_planes(const float* x, const float* shift, double* partial, int64_t planes,
                                                     int channels, int pixels, int vectors) {
    const int64_t plane = plane_of_group<threads>();
    if (plane >= planes) return;
    const int c = static_cast<int>(plane % channels);
    const double shift_c = shift[c];
    const float* const from = x + plane * pixels;
    const Pair pair = plane_sums<threads>(pixels, [&](int first, Pair& sums) {
        const Four four = load_four(from, first, pixels, vectors);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const double d = first + i < pixels ? static_cast<double>(four.v[i]) - shift_c : 0.0;
            sums.first += d;
            sums.second = fma(d, d, sums.second);
        }
    });
    if (threadIdx.x % threads == 0) store_sums(partial, pair, plane / channels, channels, c);
}

template <int threads>
__device__ __forceinline__ void gradient_statistics_of_planes(const float* x, const float* dy, const float* mean_rstd,
                                                              const float* y, double* partial, int64_t planes, int channels,
                                                              int pixels, int vectors) {
    const int64_t plane = plane_of_group<threads>(), begin = plane * pixels;
    if (plane >= planes) return;
    const int c = static_cast<int>(plane % channels);
    const Norm norm(mean_rstd, channels, c);
    const Pair pair = plane_sums<threads>(pixels, [&](int first, Pair& sums) {
        const Four value = load_four(x + begin, first, pixels, vectors);
        const Four gradient = load_four(dy + begin, first, pixels, vectors);
        const Four output = y ? load_four(y + begin, first, pixels, vectors) : Four{{1, 1, 1, 1}};
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const bool open = first + i < pixels && output.v[i] > 0;
            const double d = open ? gradient.v[i] : 0.0f;
            sums.first += d;
            if (open) sums.second = fma(d, static_cast<double>(norm(value.v[i])), sums.second);
        }
    });
    if (threadIdx.x % threads == 0) store_sums(partial, pair, plane / channels, channels, c);
}

// Four neighbouring elements of an image from `first`, the channel of each.
struct FourOfImage {
    int64_t begin;  // of the image
    int first, count;
    __device__ FourOfImage(int count_of_image, unsigned blocks_of_image)
        : begin(static_cast<int64_t>(blockIdx.x / blocks_of_image) * count_of_image),
          first(static_cast<int>(4 * (blockIdx.x % blocks_of_image * blockDim.x + threadIdx.x))),
          count(count_of_image) {}
    __device__ bool outside() const { return first >= count; }
    __device__ int channel(int i, int pixels) const { return min(first + i, count - 1) / pixels; }
};

}  // namespace

extern "C" __global__ void statistics_by_warp(const float* x, const float* shift, double* partial, int64_t planes,
                                              int channels, int pixels, int vectors) {
    statistics_of_planes<32>(x, shift, partial, planes, channels, pixels, vectors);
}
extern "C" __global__ void statistics_by_block(const float* x, const float* shift, double* partial, int64_t planes,
                                               int channels, int pixels, int vectors) {
    statistics_of_planes<256>(x, shift, partial, planes, channels, pixels, vectors);
}
extern "C" __global__ void gradient_statistics_by_warp(const float* x, const float* dy, const float* mean_rstd,
                                                       const float* y, double* partial, int64_t planes, int channels,
                                                       int pixels, int vectors) {
    gradient_statistics_of_planes<32>(x, dy, mean_rstd, y, partial, planes, channels, pixels, vectors);
}
extern "C" __global__ void gradient_statistics_by_block(const float* x, const float* dy, const float* mean_rstd,
                                                        const float* y, double* partial, int64_t planes, int channels,
                                                        int pixels, int vectors) {
    gradient_statistics_of_planes<256>(x, dy, mean_rstd, y, partial, planes, channels, pixels, vectors);
}

extern "C" __global__ void sum_statistics(Partials<double> partials, const StepContext* step, double* sums) {
    const int64_t column = static_cast<int64_t>(blockIdx.x) * sum_columns + threadIdx.x;
    const double sum = sum_over_leaves(partials, step, column);
    if (threadIdx.y == 0 && column < partials.width) sums[column] = sum;
}

// The variance is that of x - K, which is the same as that of x and free of cancellation when K is near the mean.
extern "C" __global__ void finalize_statistics(const double* sums, const float* old_mean, const float* old_var,
                                               float* mean_rstd, float* new_mean, float* new_var, int channels, BatchNorm a,
                                               const StepContext* step) {
    const int c = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (c >= channels) return;
    const double count = static_cast<double>(step->global_batch) * static_cast<double>(a.pixels), momentum = a.momentum;
    const double shift = old_mean[c], offset = sums[c] / count, before = old_var[c];
    const double excess = sums[channels + c] / count - offset * offset, var = excess < 0 ? 0 : excess;
    const double unbiased = count > 1 ? var * count / (count - 1) : var;
    mean_rstd[c] = static_cast<float>(shift + offset);
    mean_rstd[channels + c] = static_cast<float>(1 / sqrt(var + static_cast<double>(a.eps)));
    new_mean[c] = static_cast<float>(shift + momentum * offset);
    new_var[c] = static_cast<float>(before + momentum * (unbiased - before));
}

extern "C" __global__ void inference_statistics(const float* mean, const float* var, float* mean_rstd, int channels,
                                                float eps) {
    const int c = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (c >= channels) return;
    mean_rstd[c] = mean[c];
    mean_rstd[channels + c] = static_cast<float>(1 / sqrt(static_cast<double>(var[c]) + static_cast<double>(eps)));
}

extern "C" __global__ void gradient_parameters(const double* sums, float* dgamma, float* dbeta, int channels,
                                               const StepContext* step) {
    const int c = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (c >= channels) return;
    const double mine = step->later_rank ? 0 : 1;  // these sums are those of all ranks already
    dgamma[c] = static_cast<float>(mine * sums[channels + c]);
    dbeta[c] = static_cast<float>(mine * sums[c]);
}

extern "C" __global__ void normalise(const float* x, const float* mean_rstd, const float* gamma, const float* beta, float* y,
                                     int channels, int pixels, unsigned blocks_of_image, int with_relu, int vectors) {
    const FourOfImage at(channels * pixels, blocks_of_image);
    if (at.outside()) return;
    Four four = load_four(x + at.begin, at.first, at.count, vectors);
    int c = at.channel(0, pixels);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        if (!vectors && i > 0) c = at.channel(i, pixels);  // else all four are of one channel
        const Norm norm(mean_rstd, channels, c);
        const float value = fmaf(four.v[i] - norm.mean, norm.rstd * gamma[c], beta[c]);
        four.v[i] = with_relu ? relu(value) : value;
    }
    store_four(y + at.begin, four, at.first, at.count, vectors);
}

extern "C" __global__ void normalisation_gradient(const float* x, const float* dy, const float* mean_rstd,
                                                  const float* gamma, const double* sums, const float* y, float* dx,
                                                  int channels, int pixels, unsigned blocks_of_image, BatchNorm a,
                                                  const StepContext* step, int vectors) {
    const FourOfImage at(channels * pixels, blocks_of_image);
    if (at.outside()) return;
    const Four value = load_four(x + at.begin, at.first, at.count, vectors);
    const Four output = y ? load_four(y + at.begin, at.first, at.count, vectors) : Four{{1, 1, 1, 1}};
    Four four = load_four(dy + at.begin, at.first, at.count, vectors);
    int c = at.channel(0, pixels);
    InputGradient gradient = input_gradient(mean_rstd, gamma, sums, channels, c, a, step);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        if (!vectors && i > 0 && at.channel(i, pixels) != c) {  // else all four are of one channel
            c = at.channel(i, pixels);
            gradient = input_gradient(mean_rstd, gamma, sums, channels, c, a, step);
        }
        four.v[i] = gradient(value.v[i], output.v[i] > 0 ? four.v[i] : 0.0f);
    }
    store_four(dx + at.begin, four, at.first, at.count, vectors);
}
