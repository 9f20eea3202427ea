// The gradient of a batch normalisation's input, element by element (core/ops.h): what its own kernels and the gradient of a
// first layer's filters, which makes it on the way, share.
#pragma once

#include "kernels/kernel.h"

namespace xbench {

// Of one channel: dx = gamma rstd (d - mean(dy) - xhat mean(dy xhat)) for the gradient d of the output.
struct InputGradient {
    float mean, rstd, factor, mean_dy, slope;
    int masks;  // x is the output of a ReLU: its gradient, too
    __device__ __forceinline__ float operator()(float x, float d) const {
        return masks && !(x > 0) ? 0.0f : factor * (d - mean_dy - (x - mean) * rstd * slope);
    }
};

__device__ __forceinline__ InputGradient input_gradient(const float* mean_rstd, const float* gamma, const double* sums,
                                                        int channels, int c, const BatchNorm& a, const StepContext* step) {
    const double share = 1 / (static_cast<double>(step->global_batch) * static_cast<double>(a.pixels));
    const float rstd = mean_rstd[channels + c];
    return {mean_rstd[c],
            rstd,
            gamma[c] * rstd,
            static_cast<float>(sums[c] * share),
            static_cast<float>(sums[channels + c] * share),
            a.input_activation == Activation::relu};
}

}  // namespace xbench
