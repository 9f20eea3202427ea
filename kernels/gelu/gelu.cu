// gelu and gelu_grad, bound by memory. Phi is CUDA's normcdff, which keeps the leading digits of the left tail.
#include "kernels/cuda/map.cuh"

extern "C" __global__ void __launch_bounds__(256) xb_gelu(const float* x, float* y, int64_t count, int vectors) {
    xbench::map_one(x, y, count, vectors, [](float v) { return v * normcdff(v); });
}

extern "C" __global__ void __launch_bounds__(256)
    xb_gelu_grad(const float* dy, const float* x, float* dx, int64_t count, int vectors) {
    xbench::map_two(dy, x, dx, count, vectors, [](float d, float v) {
        const float density = 0.398942280f * expf(-0.5f * v * v);
        return d * fmaf(v, density, normcdff(v));
    });
}
