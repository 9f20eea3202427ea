// silu and silu_grad, bound by memory. With e = exp(-|x|) the logistic function is 1 / (1 + e) on the right and e / (1 + e)
// on the left: nothing overflows, and the left tail keeps its leading digits. A NaN stays one.
#include "kernels/cuda/map.cuh"

namespace {

struct Logistic {
    float s, rest;  // s(x), 1 - s(x) = s(-x)
};

__device__ __forceinline__ Logistic logistic_of(float x) {
    const float e = expf(-fabsf(x)), large = 1.0f / (1.0f + e), small = e * large;
    return x < 0 ? Logistic{small, large} : Logistic{large, small};
}

}  // namespace

extern "C" __global__ void __launch_bounds__(256) xb_silu(const float* x, float* y, int64_t count, int vectors) {
    xbench::map_one(x, y, count, vectors, [](float v) { return v * logistic_of(v).s; });
}

extern "C" __global__ void __launch_bounds__(256)
    xb_silu_grad(const float* dy, const float* x, float* dx, int64_t count, int vectors) {
    xbench::map_two(dy, x, dx, count, vectors, [](float d, float v) {
        const Logistic logistic = logistic_of(v);
        return d * (logistic.s * fmaf(v, logistic.rest, 1.0f));
    });
}
