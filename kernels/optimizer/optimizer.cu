// Adam, AdamW and SGD over the flat buffers, f32, in one launch: four elements a thread, 128-bit accesses. What depends on
// the step is read from the device's copy of it, and its factors are taken in double once a block. Bound by memory: Adam
// reads 16 and writes 12 bytes an element. `scaling` is the state of dynamic loss scaling (core/ops.h), or null; as it stays
// on the device, nobody waits for the host to know whether an update is skipped.
#include "kernels/cuda/map.cuh"
#include "kernels/kernel.h"

using namespace xbench;

namespace {

struct AdamFactors {
    float step, inverse_root, keep;
};

__device__ bool is_skipped(const float* scaling) { return scaling && scaling[scaling_overflow] != 0; }
// Clipping and unscaling. The loss scale is a power of two, so that the quotient is exact.
__device__ float gradient_scale(const Optimizer& a, const float* scaling) {
    return scaling ? a.gradient_scale / scaling[scaling_scale] : a.gradient_scale;
}
__device__ uint32_t updates(const StepContext& step, const float* scaling) {
    return step.update - (scaling ? static_cast<uint32_t>(scaling[scaling_skipped]) : 0u);
}

// By squaring: t multiplications' worth of rounding at most, in double.
__device__ double power(double base, uint32_t exponent) {
    double result = 1;
    for (; exponent > 0; exponent >>= 1, base *= base)
        if (exponent & 1) result *= base;
    return result;
}

__device__ AdamFactors adam_factors(const Optimizer& a, const StepContext& step, const float* scaling) {
    const double rate = step.learning_rate;
    const uint32_t t = updates(step, scaling);
    AdamFactors f;
    f.step = static_cast<float>(rate / (1 - power(a.beta1, t)));
    f.inverse_root = static_cast<float>(1 / sqrt(1 - power(a.beta2, t)));
    f.keep = a.decoupled ? static_cast<float>(1 - rate * static_cast<double>(a.weight_decay)) : 1.0f;
    return f;
}

}  // namespace

extern "C" __global__ void adam_update(const float* g, float* p, float* m, float* v, int64_t count, Optimizer a,
                                       const StepContext* step, const float* scaling, int vectors) {
    if (is_skipped(scaling)) return;
    __shared__ AdamFactors factors;
    if (threadIdx.x == 0) factors = adam_factors(a, *step, scaling);
    __syncthreads();
    const int64_t first = 4 * thread_of_grid();
    if (first >= count) return;
    const AdamFactors f = factors;
    const float scale = gradient_scale(a, scaling);
    const float other1 = static_cast<float>(1 - static_cast<double>(a.beta1));
    const float other2 = static_cast<float>(1 - static_cast<double>(a.beta2)), l2 = a.decoupled ? 0.0f : a.weight_decay;
    const Four gs = load_four(g, first, count, vectors);
    Four ps = load_four(p, first, count, vectors), ms = load_four(m, first, count, vectors),
         vs = load_four(v, first, count, vectors);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const float gradient = fmaf(l2, ps.v[i], scale * gs.v[i]);
        ms.v[i] = fmaf(a.beta1, ms.v[i], other1 * gradient);
        vs.v[i] = fmaf(a.beta2, vs.v[i], other2 * gradient * gradient);
        ps.v[i] = f.keep * ps.v[i] - f.step * ms.v[i] / fmaf(sqrtf(vs.v[i]), f.inverse_root, a.eps);
    }
    store_four(p, ps, first, count, vectors);
    store_four(m, ms, first, count, vectors);
    store_four(v, vs, first, count, vectors);
}

extern "C" __global__ void sgd_update(const float* g, float* p, float* m, int64_t count, Optimizer a,
                                      const StepContext* step, const float* scaling, int vectors) {
    if (is_skipped(scaling)) return;
    const int64_t first = 4 * thread_of_grid();
    if (first >= count) return;
    const bool begin = updates(*step, scaling) == 1;  // the momentum starts as the gradient; m need not be written before
    const float rate = step->learning_rate, scale = gradient_scale(a, scaling);
    const Four gs = load_four(g, first, count, vectors);
    Four ps = load_four(p, first, count, vectors), ms{{0, 0, 0, 0}};
    if (!begin) ms = load_four(m, first, count, vectors);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const float gradient = fmaf(a.weight_decay, ps.v[i], scale * gs.v[i]);
        ms.v[i] = begin ? gradient : fmaf(a.momentum, ms.v[i], gradient);
        const float direction = a.nesterov ? fmaf(a.momentum, ms.v[i], gradient) : ms.v[i];
        ps.v[i] -= rate * direction;
    }
    store_four(p, ps, first, count, vectors);
    store_four(m, ms, first, count, vectors);
}

// A function for each half: a loop over halves would index the lanes by a number, which registers cannot be.
template <int half>
__device__ __forceinline__ void fold(double (&lane)[16]) {
#pragma unroll
    for (int i = 0; i < half; ++i) lane[i] += lane[i + half];
}

// A thread adds up 16 neighbours, in the order of the references: pairs 8 apart, then 4, 2 and 1.
extern "C" __global__ void square_sums_of_lines(const float* g, double* sums, int64_t count) {
    const int64_t line = thread_of_grid();
    if (16 * line >= count) return;
    double lane[16];
#pragma unroll
    for (int i = 0; i < 16; ++i) {
        const double value = 16 * line + i < count ? g[16 * line + i] : 0.0f;
        lane[i] = value * value;
    }
    fold<8>(lane), fold<4>(lane), fold<2>(lane), fold<1>(lane);
    sums[line] = lane[0];
}

extern "C" __global__ void average_of_weights(const float* p, float* average, int64_t count, float decay,
                                              const float* scaling, int vectors) {
    if (is_skipped(scaling)) return;
    const float take = static_cast<float>(1 - static_cast<double>(decay));
    map_two(average, p, average, count, vectors, [=](float a, float b) { return fmaf(decay, a, take * b); });
}

extern "C" __global__ void find_overflow(const float* g, int64_t count, float* scaling, int vectors) {
    const int64_t first = 4 * thread_of_grid();
    if (first >= count) return;
    const Four gs = load_four(g, first, count, vectors);
    bool found = false;
#pragma unroll
    for (int i = 0; i < 4; ++i) found = found || !isfinite(gs.v[i]);
    if (found) atomicExch(scaling + scaling_overflow, 1.0f);
}

extern "C" __global__ void update_loss_scale(float* scaling, LossScaling a) {
    const bool overflow = scaling[scaling_overflow] != 0;
    const float good = overflow ? 0.0f : scaling[scaling_good] + 1;
    const bool grows = !overflow && good >= static_cast<float>(a.growth_interval);
    scaling[scaling_scale] *= overflow ? a.backoff : grows ? a.growth : 1.0f;
    scaling[scaling_good] = grows ? 0.0f : good;
    if (overflow) scaling[scaling_skipped] += 1;
    scaling[scaling_overflow] = 0;
}
