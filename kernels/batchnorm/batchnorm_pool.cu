// A batch normalisation in front of a max-pooling (core/ops.h, BatchNormPool) of plain f32 images: the normalised image is
// never written. A thread takes a window; windows of 2x2 on images of even width read pairs, several a thread, and have
// kernels of their own, as in kernels/pool2d. Bound by memory.
#include "kernels/batchnorm/input_gradient.cuh"
#include "kernels/batchnorm/normalised_window.cuh"
#include "kernels/cuda/image_sums.cuh"

using namespace xbench;

namespace {

template <int threads>
__device__ __forceinline__ void statistics_of_planes(const float* xhat, const float* dy, const uint8_t* index,
                                                     double* partial, int64_t planes, int channels, int pixels, float scale,
                                                     int vectors) {
    const int64_t plane = static_cast<int64_t>(blockIdx.x) * (blockDim.x / threads) + threadIdx.x / threads;
    if (plane >= planes) return;
    const int64_t begin = plane * pixels;
    const Pair pair = plane_sums<threads>(pixels, [&](int first, Pair& sums) {
        const Four normalised = load_four(xhat + begin, first, pixels, vectors);
        const Four gradient = load_four(dy + begin, first, pixels, vectors);
        uchar4 places = make_uchar4(0, 0, 0, 0);
        if (index && vectors) places = *reinterpret_cast<const uchar4*>(index + begin + first);
        const uint8_t of_four[4] = {places.x, places.y, places.z, places.w};
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            if (first + i >= pixels) break;
            const uint8_t place = index && !vectors ? index[begin + first + i] : of_four[i];
            if (place == closed_window) continue;
            const double d = static_cast<double>(gradient.v[i] * scale);
            sums.first += d;
            sums.second = fma(d, static_cast<double>(normalised.v[i]), sums.second);
        }
    });
    if (threadIdx.x % threads == 0)
        store_sums(partial, pair, plane / channels, channels, static_cast<int>(plane % channels));
}

constexpr int most_channels = 256;  // of a block that makes their numbers once

// Calls body(window, its channel, the channel's numbers) for the thread's windows of `count`, `of_channel` of them in each
// channel. of_each(c, numbers) makes the `fields` numbers of a channel: once a block, but where windows are so few that a
// block has many channels.
template <int fields, class Make, class Body>
__device__ __forceinline__ void for_each_window(const PoolShape& s, int count, int of_channel, Make&& of_each, Body&& body) {
    __shared__ float shared[fields][most_channels];
    const int thread = static_cast<int>(threadIdx.x), block = static_cast<int>(blockIdx.x % s.blocks_of_image);
    const int windows = static_cast<int>(blockDim.x) * windows_of_thread, begin = block * windows;
    const int first_channel = begin / of_channel, last_channel = (min(begin + windows, count) - 1) / of_channel;
    const bool shares = last_channel - first_channel < most_channels;
    if (shares) {
        for (int c = thread; c <= last_channel - first_channel; c += static_cast<int>(blockDim.x)) {
            float made[fields];
            of_each(first_channel + c, made);
#pragma unroll
            for (int f = 0; f < fields; ++f) shared[f][c] = made[f];
        }
        __syncthreads();
    }
    const int first = begin + thread / 32 * 32 * windows_of_thread + thread % 32;
    float numbers[fields] = {};
    int last = -1;
#pragma unroll 1
    for (int k = 0; k < windows_of_thread; ++k) {
        const int o = first + 32 * k, c = o / of_channel;
        if (o >= count) return;
        if (c != last && !shares) of_each(c, numbers);
        if (c != last && shares)
#pragma unroll
            for (int f = 0; f < fields; ++f) numbers[f] = shared[f][c - first_channel];
        body(o, c, numbers);
        last = c;
    }
}

}  // namespace

extern "C" __global__ void normalise_pool(const float* x, const float* mean_rstd, const float* gamma, const float* beta,
                                          float* y, uint8_t* index, float* xhat, PoolShape s, BatchNormPool a,
                                          const StepContext* step) {
    const int o = place_in_image(s);
    if (o >= y_count(s)) return;
    const Place at(o, s.p, s.q);
    const float* const corner = x + image_of(s) * x_count(s) + (at.c * s.h + at.i * a.r) * s.w + at.j * a.s;
    NormalisedWindow window(mean_rstd, gamma, beta, s.channels, at.c);
    for (int i = 0; i < a.r; ++i)
        for (int j = 0; j < a.s; ++j) window.meet(corner[i * s.w + j], i * a.s + j);
    const KeepMask keep(a.dropout, step, s.p * s.q);
    store_window(window, {y, index, xhat}, a, keep(image_of(s), at.c, at.i * s.q + at.j), keep.scale(),
                 image_of(s) * y_count(s) + o);
}

extern "C" __global__ void normalise_pool_2x2(const float* x, const float* mean_rstd, const float* gamma, const float* beta,
                                              float* y, uint8_t* index, float* xhat, PoolShape s, BatchNormPool a,
                                              const StepContext* step) {
    const KeepMask keep(a.dropout, step, s.p * s.q);
    const uint64_t key = keep.on() ? keep.key(image_of(s)) : 0;
    const auto of_each = [&](int c, float(&made)[4]) {
        made[0] = mean_rstd[c], made[1] = mean_rstd[s.channels + c], made[2] = gamma[c], made[3] = beta[c];
    };
    for_each_window<4>(s, y_count(s), s.p * s.q, of_each, [&](int o, int c, const float(&of_channel)[4]) {
        const int pixel = o - c * s.p * s.q, i = pixel / s.q, j = pixel - i * s.q;
        const auto* const top = reinterpret_cast<const float2*>(x + image_of(s) * x_count(s) + (c * s.h + 2 * i) * s.w) + j;
        const float2 above = *top, below = top[s.w / 2];
        NormalisedWindow window(Norm(of_channel[0], of_channel[1]), of_channel[2], of_channel[3]);
        window.meet(above.x, 0);
        window.meet(above.y, 1);
        window.meet(below.x, 2);
        window.meet(below.y, 3);
        store_window(window, {y, index, xhat}, a, keep.keeps(key, c, pixel), keep.scale(), image_of(s) * y_count(s) + o);
    });
}

extern "C" __global__ void pooled_statistics_by_warp(const float* xhat, const float* dy, const uint8_t* index,
                                                     double* partial, int64_t planes, int channels, int pixels, float scale,
                                                     int vectors) {
    statistics_of_planes<32>(xhat, dy, index, partial, planes, channels, pixels, scale, vectors);
}
extern "C" __global__ void pooled_statistics_by_block(const float* xhat, const float* dy, const uint8_t* index,
                                                      double* partial, int64_t planes, int channels, int pixels, float scale,
                                                      int vectors) {
    statistics_of_planes<256>(xhat, dy, index, partial, planes, channels, pixels, scale, vectors);
}

extern "C" __global__ void sum_pooled_statistics(Partials<double> partials, const StepContext* step, double* sums) {
    const int64_t column = static_cast<int64_t>(blockIdx.x) * sum_columns + threadIdx.x;
    const double sum = sum_over_leaves(partials, step, column);
    if (threadIdx.y == 0 && column < partials.width) sums[column] = sum;
}

extern "C" __global__ void normalise_pool_gradient(const float* x, const float* dy, const uint8_t* index,
                                                   const float* mean_rstd, const float* gamma, const double* sums, float* dx,
                                                   PoolShape s, BatchNormPool a, const StepContext* step) {
    const int o = place_in_image(s);
    if (o >= x_count(s)) return;
    const Place at(o, s.h, s.w);
    const InputGradient gradient = input_gradient(mean_rstd, gamma, sums, s.channels, at.c, a.norm, step);
    const int p = at.i / a.r, q = at.j / a.s;
    float d = 0;
    if (p < s.p && q < s.q) {  // odd sizes leave a rim that no window covers
        const int64_t from = image_of(s) * y_count(s) + (at.c * s.p + p) * s.q + q;
        if (index[from] == (at.i - p * a.r) * a.s + at.j - q * a.s) d = dy[from] * (1.0f / (1.0f - a.dropout.p));
    }
    const int64_t place = image_of(s) * x_count(s) + o;
    dx[place] = gradient(x[place], d);
}

extern "C" __global__ void normalise_pool_gradient_2x2(const float* x, const float* dy, const uint8_t* index,
                                                       const float* mean_rstd, const float* gamma, const double* sums,
                                                       float* dx, PoolShape s, BatchNormPool a, const StepContext* step) {
    const int rows = (s.h + 1) / 2, columns = s.w / 2;
    const float scale = 1.0f / (1.0f - a.dropout.p);
    const int masks = a.norm.input_activation == Activation::relu;
    const auto of_each = [&](int c, float(&made)[5]) {
        const InputGradient of = input_gradient(mean_rstd, gamma, sums, s.channels, c, a.norm, step);
        made[0] = of.mean, made[1] = of.rstd, made[2] = of.factor, made[3] = of.mean_dy, made[4] = of.slope;
    };
    const int of_channel = rows * columns;
    for_each_window<5>(s, s.channels * of_channel, of_channel, of_each, [&](int o, int c, const float(&n)[5]) {
        const InputGradient gradient{n[0], n[1], n[2], n[3], n[4], masks};
        const int window = o - c * rows * columns, i = window / columns, j = window - i * columns;
        float d = 0;
        int place = closed_window;
        if (i < s.p) {
            const int64_t from = image_of(s) * y_count(s) + (c * s.p + i) * s.q + j;
            place = index[from];
            d = dy[from] * scale;
        }
        const int64_t begin = image_of(s) * x_count(s) + (c * s.h + 2 * i) * s.w;
        const auto* const from = reinterpret_cast<const float2*>(x + begin) + j;
        auto* const to = reinterpret_cast<float2*>(dx + begin) + j;
        const float2 above = *from;
        *to = make_float2(gradient(above.x, place == 0 ? d : 0.0f), gradient(above.y, place == 1 ? d : 0.0f));
        if (2 * i + 1 >= s.h) return;
        const float2 below = from[columns];
        to[columns] = make_float2(gradient(below.x, place == 2 ? d : 0.0f), gradient(below.y, place == 3 ? d : 0.0f));
    });
}
