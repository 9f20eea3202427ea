// dropout and its gradient (core/ops.h) of f32 images in nhwc: y = keep ? x * scale : 0. The mask follows the logical
// element, channel by channel, so neighbouring channels share no call of the generator. Bound by the generator.
#include "kernels/cuda/nhwc_walk.cuh"
#include "kernels/cuda/philox.cuh"

using namespace xbench;

namespace {

template <int vec>
__device__ __forceinline__ void drop(const float* x, float* y, const Dropout& dropout, const StepContext* step,
                                     const NhwcWalk& walk) {
    const NhwcPlace<vec> place(walk);
    const KeepMask keep(dropout, step, walk.items);
    place.for_each_item(walk, [&](int pixel) {
        const int64_t at = place.element(walk, walk.items, pixel);
        auto value = load_channels<vec>(x + at);
#pragma unroll
        for (int i = 0; i < vec; ++i)
            value.v[i] = keep(place.image, place.channel + i, pixel) ? value.v[i] * keep.scale() : 0.0f;
        store_channels<vec>(y + at, value);
    });
}

}  // namespace

XB_NHWC_KERNEL(dropout_nhwc, (const float* x, float* y, Dropout dropout, const StepContext* step, NhwcWalk walk), drop,
               (x, y, dropout, step, walk))
