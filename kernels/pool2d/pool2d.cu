// Poolings and their gradients (core/ops.h) of plain f32 images. A thread takes an output; a gradient is gathered, each
// element of dx from the windows that it is in. The 2x2 windows of the small models on images of even width have kernels of
// their own that read and write each element once. Bound by memory.
#include "kernels/cuda/block_sum.cuh"
#include "kernels/cuda/map.cuh"
#include "kernels/pool2d/covering.cuh"

using namespace xbench;

extern "C" __global__ void max_pool(const float* x, float* y, uint8_t* index, PoolShape s, Pool2d a,
                                    const StepContext* step) {
    const int o = place_in_image(s);
    if (o >= y_count(s)) return;
    const Place at(o, s.p, s.q);
    const Window window(a, at.i, at.j, s.h, s.w);
    const float* const plane = x + image_of(s) * x_count(s) + at.c * s.h * s.w;
    Largest best{plane[window.h_begin * s.w + window.w_begin],
                 (window.h_begin - window.top) * a.s + window.w_begin - window.left};
    for (int h = window.h_begin; h < window.h_end; ++h)
        for (int w = window.w_begin; w < window.w_end; ++w)
            best.meet(plane[h * s.w + w], (h - window.top) * a.s + w - window.left);
    const int64_t to = image_of(s) * y_count(s) + o;
    store_largest(best, KeepMask(a.dropout, step, s.p * s.q), image_of(s), at.c, at.i * s.q + at.j, y + to,
                  index ? index + to : nullptr);
}

// Windows of 2x2 side by side, images of even width.
extern "C" __global__ void max_pool_2x2(const float* x, float* y, uint8_t* index, PoolShape s, Pool2d a,
                                        const StepContext* step) {
    const int o = place_in_image(s);
    if (o >= y_count(s)) return;
    const Place at(o, s.p, s.q);
    const auto* const top =
        reinterpret_cast<const float2*>(x + image_of(s) * x_count(s) + (at.c * s.h + 2 * at.i) * s.w) + at.j;
    const Largest best = largest_of(*top, top[s.w / 2]);
    const int64_t to = image_of(s) * y_count(s) + o;
    store_largest(best, KeepMask(a.dropout, step, s.p * s.q), image_of(s), at.c, at.i * s.q + at.j, y + to,
                  index ? index + to : nullptr);
}

extern "C" __global__ void max_pool_gradient(const float* dy, const uint8_t* index, const float* y, float* dx, PoolShape s,
                                             Pool2d a) {
    const int o = place_in_image(s);
    if (o >= x_count(s)) return;
    const Place at(o, s.h, s.w);
    const Covering rows(at.i, a.pad_h, a.r, a.stride_h, s.p), columns(at.j, a.pad_w, a.s, a.stride_w, s.q);
    const float scale = 1.0f / (1.0f - a.dropout.p);
    float sum = 0;
    for (int p = rows.first; p < rows.last; ++p)
        for (int q = columns.first; q < columns.last; ++q) {
            const int64_t from = image_of(s) * y_count(s) + (at.c * s.p + p) * s.q + q;
            const int place = (at.i - p * a.stride_h + a.pad_h) * a.s + at.j - q * a.stride_w + a.pad_w;
            if (index[from] == place && (!y || y[from] > 0)) sum += dy[from];
        }
    dx[image_of(s) * x_count(s) + o] = sum * scale;
}

// A thread takes a window; a rim that no window covers is even, too, and its threads write zeros.
extern "C" __global__ void max_pool_gradient_2x2(const float* dy, const uint8_t* index, const float* y, float* dx,
                                                 PoolShape s, Pool2d a) {
    const int rows = (s.h + 1) / 2, columns = s.w / 2, o = place_in_image(s);
    if (o >= s.channels * rows * columns) return;
    const Place at(o, rows, columns);
    float gradient = 0;
    int place = closed_window;
    if (at.i < s.p) {
        const int64_t from = image_of(s) * y_count(s) + (at.c * s.p + at.i) * s.q + at.j;
        place = !y || y[from] > 0 ? index[from] : closed_window;
        gradient = dy[from] * (1.0f / (1.0f - a.dropout.p));
    }
    auto* const top = reinterpret_cast<float2*>(dx + image_of(s) * x_count(s) + (at.c * s.h + 2 * at.i) * s.w) + at.j;
    *top = make_float2(place == 0 ? gradient : 0.0f, place == 1 ? gradient : 0.0f);
    if (2 * at.i + 1 < s.h) top[s.w / 2] = make_float2(place == 2 ? gradient : 0.0f, place == 3 ? gradient : 0.0f);
}

extern "C" __global__ void average_pool(const float* x, float* y, PoolShape s, Pool2d a) {
    const int o = place_in_image(s);
    if (o >= y_count(s)) return;
    const Place at(o, s.p, s.q);
    const Window window(a, at.i, at.j, s.h, s.w);
    const float* const plane = x + image_of(s) * x_count(s) + at.c * s.h * s.w;
    float sum = 0;
    for (int h = window.h_begin; h < window.h_end; ++h)
        for (int w = window.w_begin; w < window.w_end; ++w) sum += plane[h * s.w + w];
    y[image_of(s) * y_count(s) + o] = sum / static_cast<float>(window.divisor(a));
}

extern "C" __global__ void average_pool_gradient(const float* dy, float* dx, PoolShape s, Pool2d a) {
    const int o = place_in_image(s);
    if (o >= x_count(s)) return;
    const Place at(o, s.h, s.w);
    const Covering rows(at.i, a.pad_h, a.r, a.stride_h, s.p), columns(at.j, a.pad_w, a.s, a.stride_w, s.q);
    float sum = 0;
    for (int p = rows.first; p < rows.last; ++p)
        for (int q = columns.first; q < columns.last; ++q)
            sum += dy[image_of(s) * y_count(s) + (at.c * s.p + p) * s.q + q] /
                   static_cast<float>(Window(a, p, q, s.h, s.w).divisor(a));
    dx[image_of(s) * x_count(s) + o] = sum;
}

// A warp takes a channel of an image.
extern "C" __global__ void global_average(const float* x, float* y, int64_t planes, int pixels, int vectors) {
    const int64_t plane = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / 32;
    if (plane >= planes) return;
    const float* const from = x + plane * pixels;
    const int lane = static_cast<int>(threadIdx.x % 32);
    float sum = 0;
    for (int first = 4 * lane; vectors && first < pixels; first += 128) {
        const Four four = load_four(from, first, pixels, vectors);
        sum += (four.v[0] + four.v[1]) + (four.v[2] + four.v[3]);
    }
    for (int pixel = lane; !vectors && pixel < pixels; pixel += 32) sum += from[pixel];
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) y[plane] = sum / static_cast<float>(pixels);
}

// `vectors`: the pixels of a channel are a multiple of four.
extern "C" __global__ void global_average_gradient(const float* dy, float* dx, int64_t count, int pixels, int vectors) {
    const int64_t first = 4 * thread_of_grid();
    if (first >= count) return;
    Four four;
    int64_t plane = first / pixels;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        if (!vectors && i > 0) plane = min(first + i, count - 1) / pixels;
        four.v[i] = dy[plane] / static_cast<float>(pixels);
    }
    store_four(dx, four, first, count, vectors);
}
