// "vector": Adam, AdamW and SGD, f32, one pass over the flat buffers. Threads share the elements in multiples of 64 bytes.
// Bound by memory: Adam reads 16 and writes 12 bytes an element, 66 GB/s for 8 million parameters, 1.1 us for the 6,066 of
// pneumonia_cnn (one core of an AMD EPYC 9005, AVX-512; memcpy moves 47 GB/s).
#include "kernels/simd/chunk.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows optimizer_rows();
namespace {

XB_INLINE float* floats(const KernelTensor& t) { return static_cast<float*>(t.data); }

// Calls body(first element, elements: 16 except maybe at the end) over this thread's chunks.
template <class Body>
XB_INLINE void for_each_chunk(int64_t count, const Team& team, Body&& body) {
    const Share chunks = share_of(div_up(count, chunk_size), team);
    for (int64_t chunk = chunks.begin; chunk < chunks.end; ++chunk) {
        const int64_t i = chunk * chunk_size;
        if (i + chunk_size <= count)
            body(i, int64_t{chunk_size});
        else
            body(i, count - i);
    }
}

// rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps), its factors taken in double once.
struct AdamFactors {
    float beta1, one_minus_beta1, beta2, one_minus_beta2, step, inverse_root, eps, l2, keep, scale;
};

AdamFactors adam_factors(const Optimizer& a, const StepContext& step) {
    const double rate = static_cast<double>(step.learning_rate), beta1 = static_cast<double>(a.beta1);
    const double beta2 = static_cast<double>(a.beta2), t = static_cast<double>(step.update);
    AdamFactors f;
    f.beta1 = a.beta1, f.one_minus_beta1 = static_cast<float>(1 - beta1);
    f.beta2 = a.beta2, f.one_minus_beta2 = static_cast<float>(1 - beta2);
    f.step = static_cast<float>(rate / (1 - __builtin_pow(beta1, t)));
    f.inverse_root = static_cast<float>(1 / __builtin_sqrt(1 - __builtin_pow(beta2, t)));
    f.eps = a.eps;
    f.scale = a.gradient_scale;
    f.l2 = a.decoupled ? 0 : a.weight_decay;
    f.keep = a.decoupled ? static_cast<float>(1 - rate * static_cast<double>(a.weight_decay)) : 1;
    return f;
}

void run_adam(const KernelArgs& args, const Team& team) noexcept {
    const AdamFactors f = adam_factors(*static_cast<const Optimizer*>(args.attrs), *args.step);
    const float* g = floats(args.in[0]);
    float *p = floats(args.out[0]), *m = floats(args.out[1]), *v = floats(args.out[2]);
    for_each_chunk(args.out[0].dim[0], team, [&](int64_t i, int64_t left) {
        const Chunk p0 = chunk_load(p + i, left), g0 = chunk_load(g + i, left);
        const Chunk m0 = chunk_load(m + i, left), v0 = chunk_load(v + i, left);
        Chunk p1, m1, v1;
        for (int k = 0; k < chunk_parts; ++k) {
            const VF gradient = vf_fma(vf_set1(f.l2), p0.part[k], vf_set1(f.scale) * g0.part[k]);
            m1.part[k] = vf_fma(vf_set1(f.beta1), m0.part[k], vf_set1(f.one_minus_beta1) * gradient);
            v1.part[k] = vf_fma(vf_set1(f.beta2), v0.part[k], vf_set1(f.one_minus_beta2) * gradient * gradient);
            const VF divisor = vf_fma(vf_sqrt(v1.part[k]), vf_set1(f.inverse_root), vf_set1(f.eps));
            p1.part[k] = vf_set1(f.keep) * p0.part[k] - vf_set1(f.step) * m1.part[k] / divisor;
        }
        chunk_store(p + i, p1, left);
        chunk_store(m + i, m1, left);
        chunk_store(v + i, v1, left);
    });
}

void run_sgd(const KernelArgs& args, const Team& team) noexcept {
    const auto& a = *static_cast<const Optimizer*>(args.attrs);
    const float* g = floats(args.in[0]);
    float *p = floats(args.out[0]), *m = floats(args.out[1]);
    const bool first = args.step->update == 1;  // the momentum starts as the gradient
    const Chunk rate = chunk_set1(args.step->learning_rate), mu = chunk_set1(a.momentum), decay = chunk_set1(a.weight_decay);
    const Chunk scale = chunk_set1(a.gradient_scale);
    for_each_chunk(args.out[0].dim[0], team, [&](int64_t i, int64_t left) {
        const Chunk p0 = chunk_load(p + i, left), gradient = chunk_fma(decay, p0, scale * chunk_load(g + i, left));
        const Chunk m1 = first ? gradient : chunk_fma(mu, chunk_load(m + i, left), gradient);
        const Chunk direction = a.nesterov ? chunk_fma(mu, m1, gradient) : m1;
        chunk_store(p + i, p0 - rate * direction, left);
        chunk_store(m + i, m1, left);
    });
}

void run_square_sums(const KernelArgs& args, const Team& team) noexcept {
    const float* const g = floats(args.in[0]);
    auto* const sums = static_cast<double*>(args.out[0].data);
    for_each_chunk(args.in[0].dim[0], team, [&](int64_t i, int64_t left) {
        float lane[chunk_size];
        double square[chunk_size];
        chunk_store(lane, chunk_load(g + i, left));
        for (int k = 0; k < chunk_size; ++k) square[k] = static_cast<double>(lane[k]) * static_cast<double>(lane[k]);
        sums[i / chunk_size] = sum_of_lanes(square);
    });
}

void run_average_weights(const KernelArgs& args, const Team& team) noexcept {
    const float decay = static_cast<const Optimizer*>(args.attrs)->average_decay;
    const float* const p = floats(args.in[0]);
    float* const a = floats(args.out[0]);
    const Chunk keep = chunk_set1(decay), take = chunk_set1(static_cast<float>(1 - static_cast<double>(decay)));
    for_each_chunk(args.out[0].dim[0], team, [&](int64_t i, int64_t left) {
        chunk_store(a + i, chunk_fma(keep, chunk_load(a + i, left), take * chunk_load(p + i, left)), left);
    });
}

Support supports_sums(const Problem& p) { return dense_f32(p.in[0], Layout::plain); }

Support supports(const Problem& p) {
    if (p.n_in > 1 && p.in[1].rank > 0) return refused("loss scaling");
    for (int32_t i = 0; i < p.n_out; ++i)
        if (const Support state = dense_f32(p.out[i], Layout::plain); !state) return state;
    return dense_f32(p.in[0], Layout::plain);
}

const Kernel rows[] = {
    {OpKind::adam, "vector", this_isa, supports, nullptr, run_adam},
    {OpKind::sgd, "vector", this_isa, supports, nullptr, run_sgd},
    {OpKind::square_sums, "vector", this_isa, supports_sums, nullptr, run_square_sums},
    {OpKind::average_weights, "vector", this_isa, supports, nullptr, run_average_weights},
};

}  // namespace

KernelRows optimizer_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
