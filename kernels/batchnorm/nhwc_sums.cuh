// What the batch normalisations of images in nhwc share: the two sums of a thread's channels, and the gradient of their
// inputs.
#pragma once

#include "kernels/batchnorm/input_gradient.cuh"
#include "kernels/batchnorm/plane.cuh"
#include "kernels/cuda/nhwc_walk.cuh"

namespace xbench {

template <int vec>
class ChannelPairs {
public:
    // Of channel i of the thread: `value`, and value * factor.
    template <class T, class F>
    __device__ __forceinline__ void add(int i, T value, F factor) {
        const double d = value;
        sums_[0][i] += d;
        sums_[1][i] = fma(d, static_cast<double>(factor), sums_[1][i]);
    }
    // partial{images, parts, 2 sums, channels}; all threads of the block call it.
    __device__ __forceinline__ void store(double* partial, const NhwcWalk& walk, const NhwcPlace<vec>& place) const {
        double* const to = partial + static_cast<int64_t>(blockIdx.x) * 2 * walk.channels;
        sum_rows<vec, 2>(walk, place, sums_, [&](int which, int c, double sum) { to[which * walk.channels + c] = sum; });
    }

private:
    double sums_[2][vec] = {};
};

// InputGradient of each of a thread's channels.
template <int vec>
class InputGradients {
public:
    __device__ __forceinline__ InputGradients(const NhwcWalk& walk, const NhwcPlace<vec>& place, const float* mean_rstd,
                                              const float* gamma, const double* sums, const BatchNorm& a,
                                              const StepContext* step)
        : numbers_(of_channels<vec, 5>(walk, place,
                                       [&](int c, float (&made)[5]) {
                                           const InputGradient of =
                                               input_gradient(mean_rstd, gamma, sums, walk.channels, c, a, step);
                                           made[0] = of.mean, made[1] = of.rstd, made[2] = of.factor;
                                           made[3] = of.mean_dy, made[4] = of.slope;
                                       })),
          masks_(a.input_activation == Activation::relu) {}
    __device__ __forceinline__ InputGradient of(int i) const {
        return {numbers_.v[0][i], numbers_.v[1][i], numbers_.v[2][i], numbers_.v[3][i], numbers_.v[4][i], masks_};
    }

private:
    OfChannels<vec, 5> numbers_;
    int masks_;
};

}  // namespace xbench
