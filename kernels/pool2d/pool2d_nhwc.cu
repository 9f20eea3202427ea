// Poolings and their gradients (core/ops.h) of f32 images in nhwc. A thread takes an output, neighbouring threads
// neighbouring channels, so every access of a warp is one piece; a gradient is gathered from the windows that an element is
// in. Bound by memory.
#include "kernels/pool2d/covering.cuh"

using namespace xbench;

namespace {

// Element `index` of an image {height, width, c}.
struct PlaceInNhwc {
    int c, i, j;
    __device__ PlaceInNhwc(int index, int channels, int width)
        : c(index % channels), i(index / channels / width), j(index / channels % width) {}
};

}  // namespace

extern "C" __global__ void max_pool_nhwc(const float* x, float* y, uint8_t* index, PoolShape s, Pool2d a,
                                         const StepContext* step) {
    const int o = place_in_image(s);
    if (o >= y_count(s)) return;
    const PlaceInNhwc at(o, s.channels, s.q);
    const Window window(a, at.i, at.j, s.h, s.w);
    const float* const image = x + image_of(s) * x_count(s) + at.c;
    Largest best{image[(window.h_begin * s.w + window.w_begin) * s.channels],
                 (window.h_begin - window.top) * a.s + window.w_begin - window.left};
    for (int h = window.h_begin; h < window.h_end; ++h)
        for (int w = window.w_begin; w < window.w_end; ++w)
            best.meet(image[(h * s.w + w) * s.channels], (h - window.top) * a.s + w - window.left);
    const int64_t to = image_of(s) * y_count(s) + o;
    store_largest(best, KeepMask(a.dropout, step, s.p * s.q), image_of(s), at.c, at.i * s.q + at.j, y + to,
                  index ? index + to : nullptr);
}

extern "C" __global__ void max_pool_gradient_nhwc(const float* dy, const uint8_t* index, const float* y, float* dx,
                                                  PoolShape s, Pool2d a) {
    const int o = place_in_image(s);
    if (o >= x_count(s)) return;
    const PlaceInNhwc at(o, s.channels, s.w);
    const Covering rows(at.i, a.pad_h, a.r, a.stride_h, s.p), columns(at.j, a.pad_w, a.s, a.stride_w, s.q);
    float sum = 0;
    for (int p = rows.first; p < rows.last; ++p)
        for (int q = columns.first; q < columns.last; ++q) {
            const int64_t from = image_of(s) * y_count(s) + (p * s.q + q) * s.channels + at.c;
            const int place = (at.i - p * a.stride_h + a.pad_h) * a.s + at.j - q * a.stride_w + a.pad_w;
            if (index[from] == place && (!y || y[from] > 0)) sum += dy[from];
        }
    dx[image_of(s) * x_count(s) + o] = sum * (1.0f / (1.0f - a.dropout.p));
}

// A block of 32 channels of an image by 8 pixels at a time.
extern "C" __global__ void __launch_bounds__(256) global_average_nhwc(const float* x, float* y, int channels, int pixels) {
    __shared__ float sums[8][32];
    const int c = static_cast<int>(blockIdx.y * 32 + threadIdx.x);
    const float* const image = x + static_cast<int64_t>(blockIdx.x) * pixels * channels + c;
    float sum = 0;
    if (c < channels)
        for (int pixel = static_cast<int>(threadIdx.y); pixel < pixels; pixel += 8)
            sum += image[static_cast<int64_t>(pixel) * channels];
    sums[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y > 0 || c >= channels) return;
    for (int row = 1; row < 8; ++row) sum += sums[row][threadIdx.x];
    y[static_cast<int64_t>(blockIdx.x) * channels + c] = sum / static_cast<float>(pixels);
}

extern "C" __global__ void global_average_gradient_nhwc(const float* dy, float* dx, PoolShape s) {
    const int o = place_in_image(s);
    if (o >= x_count(s)) return;
    dx[image_of(s) * x_count(s) + o] = dy[image_of(s) * s.channels + o % s.channels] / static_cast<float>(s.h * s.w);
}

extern "C" __global__ void average_pool_nhwc(const float* x, float* y, PoolShape s, Pool2d a) {
    const int o = place_in_image(s);
    if (o >= y_count(s)) return;
    const PlaceInNhwc at(o, s.channels, s.q);
    const Window window(a, at.i, at.j, s.h, s.w);
    const float* const image = x + image_of(s) * x_count(s) + at.c;
    float sum = 0;
    for (int h = window.h_begin; h < window.h_end; ++h)
        for (int w = window.w_begin; w < window.w_end; ++w) sum += image[(h * s.w + w) * s.channels];
    y[image_of(s) * y_count(s) + o] = sum / static_cast<float>(window.divisor(a));
}

extern "C" __global__ void average_pool_gradient_nhwc(const float* dy, float* dx, PoolShape s, Pool2d a) {
    const int o = place_in_image(s);
    if (o >= x_count(s)) return;
    const PlaceInNhwc at(o, s.channels, s.w);
    const Covering rows(at.i, a.pad_h, a.r, a.stride_h, s.p), columns(at.j, a.pad_w, a.s, a.stride_w, s.q);
    float sum = 0;
    for (int p = rows.first; p < rows.last; ++p)
        for (int q = columns.first; q < columns.last; ++q)
            sum += dy[image_of(s) * y_count(s) + (p * s.q + q) * s.channels + at.c] /
                   static_cast<float>(Window(a, p, q, s.h, s.w).divisor(a));
    dx[image_of(s) * x_count(s) + o] = sum;
}
