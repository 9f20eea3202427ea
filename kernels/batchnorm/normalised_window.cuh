// One window of a batch normalisation in front of a max-pooling (core/ops.h, BatchNormPool), in whatever layout: its largest
// normalised pixel, and what is written of it.
#pragma once

#include "kernels/batchnorm/plane.cuh"
#include "kernels/cuda/philox.cuh"
#include "kernels/pool2d/window.cuh"

namespace xbench {

// Normalises the pixels of a window and keeps the largest of what they become, the first of equal ones.
class NormalisedWindow {
public:
    __device__ NormalisedWindow(const float* mean_rstd, const float* gamma, const float* beta, int channels, int c)
        : norm_(mean_rstd, channels, c), gamma_(gamma[c]), beta_(beta[c]) {}
    __device__ __forceinline__ void meet(float x, int place) {
        const float xhat = norm_(x), value = fmaf(xhat, gamma_, beta_);
        if (this->place >= 0 && !beats(value, largest)) return;
        largest = value;
        this->xhat = xhat;
        this->place = place;
    }
    float largest = 0, xhat = 0;
    int place = -1;

private:
    Norm norm_;
    float gamma_, beta_;
};

struct PooledOutputs {
    float* y;
    uint8_t* index;  // null, like xhat, in inference
    float* xhat;
};

// `pixel` of channel c of the pooled image, which lies at `place`.
__device__ __forceinline__ void store_window(const NormalisedWindow& window, const PooledOutputs& to, const BatchNormPool& a,
                                             const KeepMask& keep, int64_t image, int c, int pixel, int64_t place) {
    const bool with_relu = a.norm.activation == Activation::relu;
    const bool kept = keep(image, c, pixel);
    const bool closed = !kept || (with_relu && !(window.largest > 0));
    const float value = with_relu ? relu(window.largest) : window.largest;
    to.y[place] = kept ? value * keep.scale() : 0.0f;
    if (!to.xhat) return;
    to.xhat[place] = window.xhat;
    to.index[place] = static_cast<uint8_t>(closed ? closed_window : window.place);
}

}  // namespace xbench
