// The gradient of a first layer's filters and bias, of plain f32 images and dy in nhwc (stem_nhwc.cuh): of dy as it lies in
// memory, or made on the way from the gradient behind a 2x2 max-pooling, with or without a batch normalisation, and then
// never written. A thread has four filters and nine or 27 elements of each in registers; what a block adds up is a part of
// an image, then come images and leaves (kernels/cuda/image_sums.cuh). Bound by reading dy.
#include "kernels/batchnorm/nhwc_sums.cuh"
#include "kernels/conv2d/stem_nhwc.cuh"
#include "kernels/cuda/image_sums.cuh"
#include "kernels/pool2d/window.cuh"

using namespace xbench;

namespace {

// Where dy comes from: each calls body(pixel of the item, dy of the thread's channels).
template <int vec>
struct DenseGradient {
    static constexpr int window = 1;
    const float* dy;
    template <class Body>
    __device__ __forceinline__ void operator()(const StemShape& s, const NhwcPlace<vec>& place, int item, const StemItem&,
                                               Body&& body) const {
        body(0, load_channels<vec>(dy + place.element(s.walk, s.walk.items, item)));
    }
};

struct PooledGradient {
    const float* dy;
    const uint8_t* index;
    int height, width;
    float scale;  // of the dropout behind it
    template <int vec>
    __device__ __forceinline__ Channels<vec> load(const StemShape& s, const NhwcPlace<vec>& place, const StemItem& item,
                                                  Bytes<vec>& where) const {
        Channels<vec> d{};
#pragma unroll
        for (int i = 0; i < vec; ++i) where.v[i] = closed_window;
        if (item.i >= height || item.j >= width) return d;
        const int64_t from = place.element(s.walk, height * width, item.i * width + item.j);
        d = load_channels<vec>(dy + from), where = load_bytes<vec>(index + from);
#pragma unroll
        for (int i = 0; i < vec; ++i) d.v[i] *= scale;
        return d;
    }
};

template <int vec>
struct GradientOfPool {
    static constexpr int window = 2;
    PooledGradient pooled;
    template <class Body>
    __device__ __forceinline__ void operator()(const StemShape& s, const NhwcPlace<vec>& place, int, const StemItem& item,
                                               Body&& body) const {
        Bytes<vec> where;
        const auto d = pooled.load<vec>(s, place, item, where);
#pragma unroll 1
        for (int at = 0; at < 4; ++at) {
            Channels<vec> made;
#pragma unroll
            for (int i = 0; i < vec; ++i) made.v[i] = where.v[i] == at ? d.v[i] : 0.0f;
            body(at, made);
        }
    }
};

template <int vec>
struct GradientOfNormalisedPool {
    static constexpr int window = 2;
    PooledGradient pooled;
    const float* y;  // of the convolution
    InputGradients<vec> gradients;
    template <class Body>
    __device__ __forceinline__ void operator()(const StemShape& s, const NhwcPlace<vec>& place, int, const StemItem& item,
                                               Body&& body) const {
        Bytes<vec> where;
        const auto d = pooled.load<vec>(s, place, item, where);
#pragma unroll 1
        for (int at = 0; at < 4; ++at) {
            const int p = 2 * item.i + at / 2, q = 2 * item.j + at % 2;
            if (p >= s.conv.p || q >= s.conv.q) continue;
            const auto value = load_channels<vec>(y + place.element(s.walk, s.conv.p * s.conv.q, p * s.conv.q + q));
            Channels<vec> made;
#pragma unroll
            for (int i = 0; i < vec; ++i) made.v[i] = gradients.of(i)(value.v[i], where.v[i] == at ? d.v[i] : 0.0f);
            body(at, made);
        }
    }
};

// Where the elements first .. of a filter read, from a pixel's corner; of those past the end the last.
template <int elements>
__device__ __forceinline__ void find_elements(int (&offset)[elements], const StemShape& s, int first) {
    const int taps = s.conv.taps(), last = s.conv.depth() - 1;
#pragma unroll
    for (int e = 0; e < elements; ++e) {
        const int d = min(first + e, last), c = d / taps, tap = d - c * taps, r = tap / s.conv.s;
        offset[e] = (c * s.x_rows + r * s.conv.dilation_h) * s.x_pitch + (tap - r * s.conv.s) * s.conv.dilation_w;
    }
}

constexpr int elements_at_once = 9;  // that are added up over the block's rows together

// partial{images, parts, width}: dw{k, depth}, then db{k}.
template <int vec, int elements, class Gradient>
__device__ __forceinline__ void sum_elements(const float* xs, const Gradient& gradient, float* partial, const StemShape& s,
                                             const NhwcPlace<vec>& place, int first) {
    int offset[elements];
    find_elements<elements>(offset, s, first);
    float sums[elements][vec] = {}, bias[1][vec] = {};
    place.for_each_item(s.walk, [&](int item) {
        const StemItem at_item(xs, s, place, item);
        gradient(s, place, item, at_item, [&](int at, const Channels<vec>& dy) {
            const float* const from = at_item.pixels + StemItem::offset<Gradient::window>(s, at);
#pragma unroll
            for (int e = 0; e < elements; ++e) {
                const float value = from[offset[e]];
#pragma unroll
                for (int i = 0; i < vec; ++i) sums[e][i] = fmaf(value, dy.v[i], sums[e][i]);
            }
#pragma unroll
            for (int i = 0; i < vec; ++i) bias[0][i] += dy.v[i];
        });
    });
    const int depth = s.conv.depth();
    float* const to = partial + static_cast<int64_t>(blockIdx.x) * s.width;
#pragma unroll
    for (int begin = 0; begin < elements; begin += elements_at_once) {
        float some[elements_at_once][vec];
#pragma unroll
        for (int e = 0; e < elements_at_once; ++e)
#pragma unroll
            for (int i = 0; i < vec; ++i) some[e][i] = sums[begin + e][i];
        __syncthreads();
        sum_rows<vec, elements_at_once>(s.walk, place, some, [&](int e, int k, float sum) {
            if (first + begin + e < depth) to[k * depth + first + begin + e] = sum;
        });
    }
    if (first > 0) return;
    __syncthreads();
    sum_rows<vec, 1>(s.walk, place, bias, [&](int, int k, float sum) { to[s.conv.k * depth + k] = sum; });
}

template <int vec, class Gradient>
__device__ __forceinline__ void filter_gradient(const float* x, const Gradient& gradient, float* partial, const StemShape& s,
                                                const NhwcPlace<vec>& place) {
    float* const xs = stem_pixels(s);
    load_stem_pixels<vec>(xs, x, s, place);
    __syncthreads();
    if (s.conv.depth() <= elements_at_once) {
        sum_elements<vec, elements_at_once>(xs, gradient, partial, s, place, 0);
        return;
    }
    for (int first = 0; first < s.conv.depth(); first += 3 * elements_at_once)
        sum_elements<vec, 3 * elements_at_once>(xs, gradient, partial, s, place, first);
}

template <int vec>
__device__ __forceinline__ void of_dense(const float* x, const float* dy, float* partial, const StemShape& s) {
    filter_gradient<vec>(x, DenseGradient<vec>{dy}, partial, s, NhwcPlace<vec>(s.walk));
}
template <int vec>
__device__ __forceinline__ void of_pool(const float* x, const PooledGradient& pooled, float* partial, const StemShape& s) {
    filter_gradient<vec>(x, GradientOfPool<vec>{pooled}, partial, s, NhwcPlace<vec>(s.walk));
}
template <int vec>
__device__ __forceinline__ void of_normalised_pool(const float* x, const float* y, const PooledGradient& pooled,
                                                   const float* mean_rstd, const float* gamma, const double* sums,
                                                   float* partial, const StemShape& s, const BatchNorm& a,
                                                   const StepContext* step) {
    const NhwcPlace<vec> place(s.walk);
    const GradientOfNormalisedPool<vec> gradient{pooled, y, {s.walk, place, mean_rstd, gamma, sums, a, step}};
    filter_gradient<vec>(x, gradient, partial, s, place);
}

}  // namespace

XB_NHWC_KERNEL(stem_wgrad, (const float* x, const float* dy, float* partial, StemShape s), of_dense, (x, dy, partial, s))
XB_NHWC_KERNEL(stem_pool_wgrad,
               (const float* x, const float* dy, const uint8_t* index, float* partial, StemShape s, int height, int width,
                float scale),
               of_pool, (x, {dy, index, height, width, scale}, partial, s))
XB_NHWC_KERNEL(stem_batchnorm_pool_wgrad,
               (const float* x, const float* y, const float* dy, const uint8_t* index, const float* mean_rstd,
                const float* gamma, const double* sums, float* partial, StemShape s, int height, int width, float scale,
                BatchNorm a, const StepContext* step),
               of_normalised_pool, (x, y, {dy, index, height, width, scale}, mean_rstd, gamma, sums, partial, s, a, step))

extern "C" __global__ void __launch_bounds__(sum_columns* sum_lanes)
    finish_stem(Partials<float> partials, const StepContext* step, float* dw, float* db, int64_t filters) {
    const int64_t column = static_cast<int64_t>(blockIdx.x) * sum_columns + threadIdx.x;
    const float sum = sum_over_leaves(partials, step, column);
    if (threadIdx.y > 0 || column >= partials.width) return;
    if (column < filters) {
        dw[column] = sum;
    } else if (db) {
        db[column - filters] = sum;
    }
}
