// A first layer of few channels from plain f32 images to nhwc ones (stem_nhwc.cuh): the convolution, with the statistics of
// the batch normalisation behind it, or with the 2x2 max-pooling behind it and a dropout behind that. Bound by writing y.
#include "kernels/batchnorm/nhwc_sums.cuh"
#include "kernels/conv2d/stem_nhwc.cuh"
#include "kernels/cuda/philox.cuh"
#include "kernels/pool2d/window.cuh"

using namespace xbench;

namespace {

// The block's filters in shared memory, those of the thread from `ws` on, and what comes behind the sums.
template <int vec>
struct StemFilters {
    const float *xs, *ws;
    OfChannels<vec, 2> numbers;  // bias, and the statistics' shift
    int with_relu;
    __device__ __forceinline__ StemFilters(const float* x, const float* filters, const float* bias, const float* shift,
                                           const StemShape& s, const NhwcPlace<vec>& place, int with_relu)
        : numbers(of_channels<vec, 2>(
              s.walk, place,
              [&](int c, float (&made)[2]) { made[0] = bias ? bias[c] : 0.0f, made[1] = shift ? shift[c] : 0.0f; })),
          with_relu(with_relu) {
        float *const pixels = stem_pixels(s), *const weights = pixels + (s.x_floats() + 3) / 4 * 4;
        load_stem_pixels<vec>(pixels, x, s, place);
        load_stem_filters<vec>(weights, filters, s);
        __syncthreads();
        xs = pixels, ws = weights + place.channel - static_cast<int>(blockIdx.y) * s.walk.units * vec;
    }
    __device__ __forceinline__ float finish(float sum, int i) const {
        const float value = sum + numbers.v[0][i];
        return with_relu && value < 0 ? 0.0f : value;
    }
};

template <int vec>
__device__ __forceinline__ void forward(const float* x, const float* filters, const float* bias, float* y,
                                        const StemShape& s, int with_relu) {
    const NhwcPlace<vec> place(s.walk);
    const StemFilters<vec> of(x, filters, bias, nullptr, s, place, with_relu);
    place.for_each_item(s.walk, [&](int item) {
        float sums[1][vec];
        convolve_item<vec, 1>(sums, StemItem(of.xs, s, place, item), of.ws, s);
        Channels<vec> made;
#pragma unroll
        for (int i = 0; i < vec; ++i) made.v[i] = of.finish(sums[0][i], i);
        store_channels<vec>(y + place.element(s.walk, s.walk.items, item), made);
    });
}

template <int vec>
__device__ __forceinline__ void with_statistics(const float* x, const float* filters, const float* bias, const float* shift,
                                                float* y, double* partial, const StemShape& s, int with_relu) {
    const NhwcPlace<vec> place(s.walk);
    const StemFilters<vec> of(x, filters, bias, shift, s, place, with_relu);
    ChannelPairs<vec> pairs;
    place.for_each_item(s.walk, [&](int item) {
        float sums[1][vec];
        convolve_item<vec, 1>(sums, StemItem(of.xs, s, place, item), of.ws, s);
        Channels<vec> made;
#pragma unroll
        for (int i = 0; i < vec; ++i) {
            made.v[i] = of.finish(sums[0][i], i);
            const double d = static_cast<double>(made.v[i]) - static_cast<double>(of.numbers.v[1][i]);
            pairs.add(i, d, d);
        }
        store_channels<vec>(y + place.element(s.walk, s.walk.items, item), made);
    });
    pairs.store(partial, s.walk, place);
}

// index: null in inference.
template <int vec>
__device__ __forceinline__ void with_pool(const float* x, const float* filters, const float* bias, float* y, uint8_t* index,
                                          const StemShape& s, const Dropout& dropout, const StepContext* step,
                                          int with_relu) {
    const NhwcPlace<vec> place(s.walk);
    const StemFilters<vec> of(x, filters, bias, nullptr, s, place, with_relu);
    const KeepMask keep(dropout, step, s.walk.items);
    place.for_each_item(s.walk, [&](int item) {
        float sums[4][vec];
        convolve_item<vec, 2>(sums, StemItem(of.xs, s, place, item), of.ws, s);
        Channels<vec> made;
        Bytes<vec> where;
#pragma unroll
        for (int i = 0; i < vec; ++i) {
            Largest best{of.finish(sums[0][i], i), 0};
#pragma unroll
            for (int at = 1; at < 4; ++at) best.meet(of.finish(sums[at][i], i), at);
            const bool kept = keep(place.image, place.channel + i, item);
            made.v[i] = kept ? best.value * keep.scale() : 0.0f;
            where.v[i] = !kept || (with_relu && !(best.value > 0)) ? static_cast<int>(closed_window) : best.place;
        }
        store_channels<vec>(y + place.element(s.walk, s.walk.items, item), made);
        if (index) store_bytes<vec>(index + place.element(s.walk, s.walk.items, item), where);
    });
}

}  // namespace

XB_NHWC_KERNEL(stem_forward, (const float* x, const float* filters, const float* bias, float* y, StemShape s, int with_relu),
               forward, (x, filters, bias, y, s, with_relu))
XB_NHWC_KERNEL(stem_statistics,
               (const float* x, const float* filters, const float* bias, const float* shift, float* y, double* partial,
                StemShape s, int with_relu),
               with_statistics, (x, filters, bias, shift, y, partial, s, with_relu))
XB_NHWC_KERNEL(stem_pool,
               (const float* x, const float* filters, const float* bias, float* y, uint8_t* index, StemShape s,
                Dropout dropout, const StepContext* step, int with_relu),
               with_pool, (x, filters, bias, y, index, s, dropout, step, with_relu))
