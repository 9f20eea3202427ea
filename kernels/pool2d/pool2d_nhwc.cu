// Poolings and their gradients (core/ops.h) of f32 images in nhwc. A thread has four channels of every so many outputs of a
// part of an image (kernels/cuda/nhwc_walk.cuh). The gradient of windows that touch is written window by window, so that dy
// is read once; that of others is gathered from the windows that an element is in. Bound by memory.
#include "kernels/cuda/nhwc_walk.cuh"
#include "kernels/pool2d/covering.cuh"

using namespace xbench;

namespace {

// The thread's first channel of pixel (i, j) of images of PoolShape's sizes.
template <int vec>
__device__ __forceinline__ int64_t at_x(const NhwcPlace<vec>& place, const PoolShape& s, int i, int j) {
    return ((place.image * s.h + i) * s.w + j) * s.channels + place.channel;
}
template <int vec>
__device__ __forceinline__ int64_t at_y(const NhwcPlace<vec>& place, const PoolShape& s, int i, int j) {
    return ((place.image * s.p + i) * s.q + j) * s.channels + place.channel;
}

template <int vec>
__device__ __forceinline__ void max_pool(const float* x, float* y, uint8_t* index, const NhwcWalk& walk, const PoolShape& s,
                                         const Pool2d& a, const StepContext* step) {
    const NhwcPlace<vec> place(walk);
    const KeepMask keep(a.dropout, step, s.p * s.q);
    place.for_each_item(walk, [&](int item) {
        const int p = item / s.q, q = item - p * s.q;
        const Window window(a, p, q, s.h, s.w);
        Largest best[vec];
        for (int h = window.h_begin; h < window.h_end; ++h)
            for (int w = window.w_begin; w < window.w_end; ++w) {
                const auto value = load_channels<vec>(x + at_x(place, s, h, w));
                const int at = (h - window.top) * a.s + w - window.left;
                const bool is_first = h == window.h_begin && w == window.w_begin;
#pragma unroll
                for (int i = 0; i < vec; ++i)
                    if (is_first)
                        best[i] = {value.v[i], at};
                    else
                        best[i].meet(value.v[i], at);
            }
        Channels<vec> largest;
        Bytes<vec> where;
#pragma unroll
        for (int i = 0; i < vec; ++i) {
            const bool kept = keep(place.image, place.channel + i, item);
            largest.v[i] = kept ? best[i].value * keep.scale() : 0.0f;
            where.v[i] = kept ? best[i].place : static_cast<int>(closed_window);
        }
        store_channels<vec>(y + at_y(place, s, p, q), largest);
        if (index) store_bytes<vec>(index + at_y(place, s, p, q), where);
    });
}

// dy of pooled pixel (p, q) where it was open, and where its largest was.
template <int vec>
__device__ __forceinline__ Channels<vec> open_gradient(const float* dy, const uint8_t* index, const float* y, int64_t from,
                                                       Bytes<vec>& where) {
    const auto gradient = load_channels<vec>(dy + from);
    where = load_bytes<vec>(index + from);
    if (!y) return gradient;
    const auto output = load_channels<vec>(y + from);
#pragma unroll
    for (int i = 0; i < vec; ++i)
        if (!(output.v[i] > 0)) where.v[i] = closed_window;
    return gradient;
}

// Items: windows of the whole image; odd sizes leave a rim that no pooled pixel covers.
template <int vec>
__device__ __forceinline__ void touching_gradient(const float* dy, const uint8_t* index, const float* y, float* dx,
                                                  const NhwcWalk& walk, const PoolShape& s, const Pool2d& a) {
    const NhwcPlace<vec> place(walk);
    const int across = (s.w + a.s - 1) / a.s;
    const float scale = 1.0f / (1.0f - a.dropout.p);
    place.for_each_item(walk, [&](int window) {
        const int p = window / across, q = window - p * across;
        Channels<vec> d{};
        Bytes<vec> where{};
        const bool covered = p < s.p && q < s.q;
        if (covered) d = open_gradient<vec>(dy, index, y, at_y(place, s, p, q), where);
        for (int r = 0; r < a.r && p * a.r + r < s.h; ++r)
            for (int t = 0; t < a.s && q * a.s + t < s.w; ++t) {
                Channels<vec> made;
#pragma unroll
                for (int i = 0; i < vec; ++i) made.v[i] = covered && where.v[i] == r * a.s + t ? d.v[i] * scale : 0.0f;
                store_channels<vec>(dx + at_x(place, s, p * a.r + r, q * a.s + t), made);
            }
    });
}

template <int vec>
__device__ __forceinline__ void gathered_gradient(const float* dy, const uint8_t* index, const float* y, float* dx,
                                                  const NhwcWalk& walk, const PoolShape& s, const Pool2d& a) {
    const NhwcPlace<vec> place(walk);
    const float scale = 1.0f / (1.0f - a.dropout.p);
    place.for_each_item(walk, [&](int item) {
        const int i = item / s.w, j = item - i * s.w;
        const Covering rows(i, a.pad_h, a.r, a.stride_h, s.p), columns(j, a.pad_w, a.s, a.stride_w, s.q);
        Channels<vec> sum{};
        for (int p = rows.first; p < rows.last; ++p)
            for (int q = columns.first; q < columns.last; ++q) {
                Bytes<vec> where;
                const auto d = open_gradient<vec>(dy, index, y, at_y(place, s, p, q), where);
                const int at = (i - p * a.stride_h + a.pad_h) * a.s + j - q * a.stride_w + a.pad_w;
#pragma unroll
                for (int k = 0; k < vec; ++k)
                    if (where.v[k] == at) sum.v[k] += d.v[k];
            }
#pragma unroll
        for (int k = 0; k < vec; ++k) sum.v[k] *= scale;
        store_channels<vec>(dx + at_x(place, s, i, j), sum);
    });
}

// A block has all pixels of an image.
template <int vec>
__device__ __forceinline__ void global_average(const float* x, float* y, const NhwcWalk& walk) {
    const NhwcPlace<vec> place(walk);
    float sums[1][vec] = {};
    place.for_each_item(walk, [&](int pixel) {
        const auto value = load_channels<vec>(x + place.element(walk, walk.items, pixel));
#pragma unroll
        for (int i = 0; i < vec; ++i) sums[0][i] += value.v[i];
    });
    sum_rows<vec, 1>(walk, place, sums, [&](int, int c, float sum) {
        y[place.image * walk.channels + c] = sum / static_cast<float>(walk.items);
    });
}

template <int vec>
__device__ __forceinline__ void global_average_gradient(const float* dy, float* dx, const NhwcWalk& walk) {
    const NhwcPlace<vec> place(walk);
    const auto gradient = of_channels<vec, 1>(walk, place, [&](int c, float(&made)[1]) {
        made[0] = dy[place.image * walk.channels + c] / static_cast<float>(walk.items);
    });
    Channels<vec> made;
#pragma unroll
    for (int i = 0; i < vec; ++i) made.v[i] = gradient.v[0][i];
    place.for_each_item(walk, [&](int pixel) { store_channels<vec>(dx + place.element(walk, walk.items, pixel), made); });
}

template <int vec>
__device__ __forceinline__ void average_pool(const float* x, float* y, const NhwcWalk& walk, const PoolShape& s,
                                             const Pool2d& a) {
    const NhwcPlace<vec> place(walk);
    place.for_each_item(walk, [&](int item) {
        const int p = item / s.q, q = item - p * s.q;
        const Window window(a, p, q, s.h, s.w);
        Channels<vec> sum{};
        for (int h = window.h_begin; h < window.h_end; ++h)
            for (int w = window.w_begin; w < window.w_end; ++w) {
                const auto value = load_channels<vec>(x + at_x(place, s, h, w));
#pragma unroll
                for (int i = 0; i < vec; ++i) sum.v[i] += value.v[i];
            }
#pragma unroll
        for (int i = 0; i < vec; ++i) sum.v[i] /= static_cast<float>(window.divisor(a));
        store_channels<vec>(y + at_y(place, s, p, q), sum);
    });
}

template <int vec>
__device__ __forceinline__ void average_pool_gradient(const float* dy, float* dx, const NhwcWalk& walk, const PoolShape& s,
                                                      const Pool2d& a) {
    const NhwcPlace<vec> place(walk);
    place.for_each_item(walk, [&](int item) {
        const int i = item / s.w, j = item - i * s.w;
        const Covering rows(i, a.pad_h, a.r, a.stride_h, s.p), columns(j, a.pad_w, a.s, a.stride_w, s.q);
        Channels<vec> sum{};
        for (int p = rows.first; p < rows.last; ++p)
            for (int q = columns.first; q < columns.last; ++q) {
                const auto d = load_channels<vec>(dy + at_y(place, s, p, q));
                const auto divisor = static_cast<float>(Window(a, p, q, s.h, s.w).divisor(a));
#pragma unroll
                for (int k = 0; k < vec; ++k) sum.v[k] += d.v[k] / divisor;
            }
        store_channels<vec>(dx + at_x(place, s, i, j), sum);
    });
}

}  // namespace

XB_NHWC_KERNEL(max_pool_nhwc,
               (const float* x, float* y, uint8_t* index, NhwcWalk walk, PoolShape s, Pool2d a, const StepContext* step),
               max_pool, (x, y, index, walk, s, a, step))
XB_NHWC_KERNEL(touching_gradient_nhwc,
               (const float* dy, const uint8_t* index, const float* y, float* dx, NhwcWalk walk, PoolShape s, Pool2d a),
               touching_gradient, (dy, index, y, dx, walk, s, a))
XB_NHWC_KERNEL(gathered_gradient_nhwc,
               (const float* dy, const uint8_t* index, const float* y, float* dx, NhwcWalk walk, PoolShape s, Pool2d a),
               gathered_gradient, (dy, index, y, dx, walk, s, a))
XB_NHWC_KERNEL(global_average_nhwc, (const float* x, float* y, NhwcWalk walk), global_average, (x, y, walk))
XB_NHWC_KERNEL(global_average_gradient_nhwc, (const float* dy, float* dx, NhwcWalk walk), global_average_gradient,
               (dy, dx, walk))
XB_NHWC_KERNEL(average_pool_nhwc, (const float* x, float* y, NhwcWalk walk, PoolShape s, Pool2d a), average_pool,
               (x, y, walk, s, a))
XB_NHWC_KERNEL(average_pool_gradient_nhwc, (const float* dy, float* dx, NhwcWalk walk, PoolShape s, Pool2d a),
               average_pool_gradient, (dy, dx, walk, s, a))
