// One window of a batch normalisation in front of a max-pooling (core/ops.h, BatchNormPool), in whatever layout: its largest
// normalised pixel, and what is written of it.
#pragma once

#include "kernels/batchnorm/plane.cuh"
#include "kernels/batchnorm/pooled_outputs.h"
#include "kernels/cuda/philox.cuh"
#include "kernels/pool2d/window.cuh"

namespace xbench {

// Normalises the pixels of a window and keeps the largest of what they become, the first of equal ones.
class NormalisedWindow {
public:
    __device__ NormalisedWindow(const Norm& norm, float gamma, float beta) : norm_(norm), gamma_(gamma), beta_(beta) {}
    __device__ NormalisedWindow(const float* mean_rstd, const float* gamma, const float* beta, int channels, int c)
        : NormalisedWindow(Norm(mean_rstd, channels, c), gamma[c], beta[c]) {}
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

// What a window leaves, where the dropout behind it keeps it or not.
struct PooledPixel {
    float y;
    int index;
    __device__ PooledPixel(float largest, int place, const BatchNormPool& a, bool kept, float scale) {
        const bool with_relu = a.norm.activation == Activation::relu;
        const bool closed = !kept || (with_relu && !(largest > 0));
        y = kept ? (with_relu ? relu(largest) : largest) * scale : 0.0f;
        index = closed ? static_cast<int>(closed_window) : place;
    }
};

__device__ __forceinline__ void store_window(const NormalisedWindow& window, const PooledOutputs& to, const BatchNormPool& a,
                                             bool kept, float scale, int64_t place) {
    const PooledPixel pixel(window.largest, window.place, a, kept, scale);
    to.y[place] = pixel.y;
    if (!to.xhat) return;
    to.xhat[place] = window.xhat;
    to.index[place] = static_cast<uint8_t>(pixel.index);
}

}  // namespace xbench
