// A batch normalisation in front of a max-pooling (core/ops.h, BatchNormPool) of f32 images in nhwc: the normalised image is
// never written. A thread has four channels of every so many windows of a part of an image (kernels/cuda/nhwc_walk.cuh) and
// reads and writes each element once. Bound by memory.
#include "kernels/batchnorm/nhwc_sums.cuh"
#include "kernels/batchnorm/normalised_window.cuh"

using namespace xbench;

namespace {

template <int vec>
__device__ __forceinline__ void pooled_statistics(const float* xhat, const float* dy, const uint8_t* index, double* partial,
                                                  float scale, const NhwcWalk& walk) {
    const NhwcPlace<vec> place(walk);
    ChannelPairs<vec> pairs;
    place.for_each_item(walk, [&](int pixel) {
        const int64_t at = place.element(walk, walk.items, pixel);
        const auto normalised = load_channels<vec>(xhat + at), gradient = load_channels<vec>(dy + at);
        const auto where = index ? load_bytes<vec>(index + at) : Bytes<vec>{};
#pragma unroll
        for (int i = 0; i < vec; ++i)
            if (where.v[i] != closed_window) pairs.add(i, gradient.v[i] * scale, normalised.v[i]);
    });
    pairs.store(partial, walk, place);
}

// The pixels of window `item` that the image has, in the order of their places: body(place, offset of its channel).
template <int vec, class Body>
__device__ __forceinline__ void for_each_pixel(const NhwcPlace<vec>& at, const PoolShape& s, const BatchNormPool& a,
                                               int across, int item, Body&& body) {
    const int p = item / across, q = item - p * across;
    const int64_t image = at.image * s.h;
    for (int r = 0; r < a.r && p * a.r + r < s.h; ++r)
        for (int t = 0; t < a.s && q * a.s + t < s.w; ++t)
            body(r * a.s + t, ((image + p * a.r + r) * s.w + q * a.s + t) * s.channels + at.channel);
}

template <int vec>
__device__ __forceinline__ void normalise_pool(const float* x, const float* mean_rstd, const float* gamma, const float* beta,
                                               const PooledOutputs& to, const NhwcWalk& walk, const PoolShape& s,
                                               const BatchNormPool& a, const StepContext* step) {
    const NhwcPlace<vec> place(walk);
    const auto numbers = of_channels<vec, 4>(walk, place, [&](int c, float(&made)[4]) {
        made[0] = mean_rstd[c], made[1] = mean_rstd[walk.channels + c], made[2] = gamma[c], made[3] = beta[c];
    });
    const KeepMask keep(a.dropout, step, s.p * s.q);
    place.for_each_item(walk, [&](int window) {
        Largest best[vec];
        float xhat[vec];
        const int p = window / s.q, q = window - p * s.q;
        const float* const corner =
            x + ((place.image * s.h + p * a.r) * s.w + q * a.s) * static_cast<int64_t>(s.channels) + place.channel;
        Channels<vec> y;
        Channels<vec> normalised;
        Bytes<vec> index;
        for (int r = 0; r < a.r; ++r)
            for (int t = 0; t < a.s; ++t) {
                const auto value = load_channels<vec>(corner + (r * s.w + t) * s.channels);
#pragma unroll
                for (int i = 0; i < vec; ++i) {
                    const float hat = Norm(numbers.v[0][i], numbers.v[1][i])(value.v[i]);
                    const float candidate = fmaf(hat, numbers.v[2][i], numbers.v[3][i]);
                    if (r + t > 0 && !beats(candidate, best[i].value)) continue;
                    best[i] = {candidate, r * a.s + t};
                    xhat[i] = hat;
                }
            }
#pragma unroll
        for (int i = 0; i < vec; ++i) {
            const PooledPixel pixel(best[i].value, best[i].place, a, keep(place.image, place.channel + i, window),
                                    keep.scale());
            y.v[i] = pixel.y, index.v[i] = pixel.index, normalised.v[i] = xhat[i];
        }
        const int64_t at = place.element(walk, walk.items, window);
        store_channels<vec>(to.y + at, y);
        if (!to.xhat) return;
        store_channels<vec>(to.xhat + at, normalised);
        store_bytes<vec>(to.index + at, index);
    });
}

// Windows of the whole image: odd sizes leave a rim that no pooled pixel covers.
template <int vec>
__device__ __forceinline__ void normalise_pool_gradient(const float* x, const float* dy, const uint8_t* index,
                                                        const float* mean_rstd, const float* gamma, const double* sums,
                                                        float* dx, const NhwcWalk& walk, const PoolShape& s,
                                                        const BatchNormPool& a, const StepContext* step) {
    const NhwcPlace<vec> place(walk);
    const InputGradients<vec> gradients(walk, place, mean_rstd, gamma, sums, a.norm, step);
    const int across = (s.w + a.s - 1) / a.s;
    const float scale = 1.0f / (1.0f - a.dropout.p);
    place.for_each_item(walk, [&](int window) {
        const int p = window / across, q = window - p * across;
        Channels<vec> d{};
        Bytes<vec> largest;
#pragma unroll
        for (int i = 0; i < vec; ++i) largest.v[i] = closed_window;
        if (p < s.p && q < s.q) {
            const int64_t from = place.element(walk, s.p * s.q, p * s.q + q);
            d = load_channels<vec>(dy + from), largest = load_bytes<vec>(index + from);
        }
        for_each_pixel(place, s, a, across, window, [&](int at, int64_t offset) {
            const auto value = load_channels<vec>(x + offset);
            Channels<vec> made;
#pragma unroll
            for (int i = 0; i < vec; ++i)
                made.v[i] = gradients.of(i)(value.v[i], largest.v[i] == at ? d.v[i] * scale : 0.0f);
            store_channels<vec>(dx + offset, made);
        });
    });
}

}  // namespace

XB_NHWC_KERNEL(pooled_statistics_nhwc,
               (const float* xhat, const float* dy, const uint8_t* index, double* partial, float scale, NhwcWalk walk),
               pooled_statistics, (xhat, dy, index, partial, scale, walk))
XB_NHWC_KERNEL(normalise_pool_nhwc,
               (const float* x, const float* mean_rstd, const float* gamma, const float* beta, PooledOutputs to,
                NhwcWalk walk, PoolShape s, BatchNormPool a, const StepContext* step),
               normalise_pool, (x, mean_rstd, gamma, beta, to, walk, s, a, step))
XB_NHWC_KERNEL(normalise_pool_gradient_nhwc,
               (const float* x, const float* dy, const uint8_t* index, const float* mean_rstd, const float* gamma,
                const double* sums, float* dx, NhwcWalk walk, PoolShape s, BatchNormPool a, const StepContext* step),
               normalise_pool_gradient, (x, dy, index, mean_rstd, gamma, sums, dx, walk, s, a, step))
