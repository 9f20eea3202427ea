// "fused": batch normalisation and its gradients, f32, plain and nchw16c. Every pass reads its tensors once:
//   statistics, grad_statistics   channel_sums.h: one pass, sums of x - K and (x - K)^2 with the shift K = running mean
//   apply, grad_input             one multiply-add, or two, for each element; ReLU and its mask in the same pass
// finalize, inference and grad_parameters work on a few numbers and stay with the reference. All are bound by memory.
// Measured on one core of an AMD EPYC 9005 (AVX-512; memcpy moves 47 GB/s): statistics 42, apply 52, grad_statistics 38 and
// grad_input 43 GB/s at 8x64x112x112; 9, 17, 28 and 38 us at 8x8x64x64 (with ReLU), in the second-level cache.
#include "kernels/batchnorm/channel_sums.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows batchnorm_rows();
namespace {

const float* floats(const KernelTensor& t) { return static_cast<const float*>(t.data); }

size_t sums_workspace(const Problem& p, int) {
    const Planes planes = planes_of(p.in[0]);
    return static_cast<size_t>(p.leaves) * static_cast<size_t>(planes.groups) * sizeof(SumPair);
}

void run_statistics(const KernelArgs& args, const Team& team) noexcept {
    const Planes planes = planes_of(args.in[0]);
    const float *x = floats(args.in[0]), *running_mean = floats(args.in[1]);
    auto* partial = static_cast<SumPair*>(args.workspace);
    leaf_sums(planes, *args.step, partial, team, [&](int64_t n, int64_t group, SumPair& sums) {
        const Chunk shift = channel_chunk(planes, group, running_mean);
        add_shifted(sums, x + planes.offset(n, group), planes.plane_floats(), shift);
    });
    team.barrier();
    add_leaf_statistics(planes, *args.step, {x, running_mean}, partial, static_cast<double*>(args.out[0].data), team);
}

// dy where y, the output of the ReLU behind, is positive. far: asks for what comes next.
template <bool relu>
XB_INLINE Chunk masked_gradient(const float* dy, const float* y, int64_t left, bool far) {
    if (far) fetch_ahead(dy);
    const Chunk d = chunk_load(dy, left);
    if (!relu) return d;
    if (far) fetch_ahead(y);
    return chunk_where_positive(chunk_load(y, left), d);
}

// xhat = (x - mean) rstd; lanes past the end have dy = 0 and so add nothing.
template <bool relu>
void grad_statistics(const KernelArgs& args, const Team& team) {
    const Planes planes = planes_of(args.in[0]);
    const float *x = floats(args.in[0]), *dy = floats(args.in[1]), *mean_rstd = floats(args.in[2]);
    const float* y = relu ? floats(args.in[3]) : nullptr;
    const bool far = beyond_caches(planes);
    auto* partial = static_cast<SumPair*>(args.workspace);
    leaf_sums(planes, *args.step, partial, team, [&](int64_t n, int64_t group, SumPair& sums) {
        const Chunk mean = channel_chunk(planes, group, mean_rstd);
        const Chunk rstd = channel_chunk(planes, group, mean_rstd + planes.channels);
        const int64_t offset = planes.offset(n, group);
        add_plane(sums, planes.plane_floats(), [&](int64_t i, int64_t left, Chunk& a, Chunk& b) {
            if (far) fetch_ahead(x + offset + i);
            const Chunk d = masked_gradient<relu>(dy + offset + i, relu ? y + offset + i : nullptr, left, far);
            a = a + d;
            b = chunk_fma(d, (chunk_load(x + offset + i, left) - mean) * rstd, b);
        });
    });
    team.barrier();
    add_leaves(planes, *args.step, partial, static_cast<double*>(args.out[0].data), team);
}

void run_grad_statistics(const KernelArgs& args, const Team& team) noexcept {
    has_operand(args.in, args.n_in, 3) ? grad_statistics<true>(args, team) : grad_statistics<false>(args, team);
}

// Calls body(plane's offset, its channel group, from, to) for this thread's share of all floats, in pieces within a plane.
template <class Body>
XB_INLINE void for_each_plane(const Planes& planes, const Team& team, Body&& body) {
    const Share share = share_of(planes.images * planes.groups, team);
    for (int64_t task = share.begin; task < share.end; ++task) body(task * planes.plane_floats(), task % planes.groups);
}

// value(i, left) for the chunks of a plane, written to `to`.
template <class Value>
XB_INLINE void write_plane(float* to, int64_t count, bool past, Value&& value) {
    const int64_t whole = count / chunk_size * chunk_size;
    if (past)
        for (int64_t i = 0; i < whole; i += chunk_size) chunk_write<true>(to + i, value(i, int64_t{chunk_size}));
    else
        for (int64_t i = 0; i < whole; i += chunk_size) chunk_write<false>(to + i, value(i, int64_t{chunk_size}));
    if (whole < count) chunk_store(to + whole, value(whole, count - whole), count - whole);
}

// y = x scale + shift with scale = rstd gamma, shift = beta - mean scale: 0 in the lanes of padding channels.
template <bool relu>
void apply(const KernelArgs& args, const Team& team) {
    const Planes planes = planes_of(args.in[0]);
    const float *x = floats(args.in[0]), *mean_rstd = floats(args.in[1]), *gamma = floats(args.in[2]),
                *beta = floats(args.in[3]);
    auto* y = static_cast<float*>(args.out[0].data);
    const bool past = goes_past_caches(y, planes);
    for_each_plane(planes, team, [&](int64_t offset, int64_t group) {
        const Chunk mean = channel_chunk(planes, group, mean_rstd), shift = channel_chunk(planes, group, beta);
        const Chunk scale = channel_chunk(planes, group, mean_rstd + planes.channels) * channel_chunk(planes, group, gamma);
        write_plane(y + offset, planes.plane_floats(), past, [&](int64_t i, int64_t left) {
            const Chunk value = chunk_fma(chunk_load(x + offset + i, left) - mean, scale, shift);
            return relu ? chunk_relu(value) : value;
        });
    });
    if (past) end_of_streams();
}

void run_apply(const KernelArgs& args, const Team& team) noexcept {
    const bool relu = static_cast<const BatchNorm*>(args.attrs)->activation == Activation::relu;
    relu ? apply<true>(args, team) : apply<false>(args, team);
}

// Means of dy and of dy xhat over the global batch as chunks, from sums {2, channels} in double.
XB_INLINE Chunk mean_chunk(const Planes& planes, int64_t group, const double* sums, double inverse_count) {
    if (!planes.blocked) return chunk_set1(static_cast<float>(sums[group] * inverse_count));
    float lane[chunk_size] = {};
    for (int64_t i = 0; i < channels_of_group(planes, group); ++i)
        lane[i] = static_cast<float>(sums[group * chunk_size + i] * inverse_count);
    return chunk_load(lane);
}

// dx = gamma rstd (dy - mean(dy) - xhat mean(dy xhat)), and with input_relu only where x > 0
template <bool relu, bool input_relu>
void grad_input(const KernelArgs& args, const Team& team) {
    const Planes planes = planes_of(args.in[0]);
    const float *x = floats(args.in[0]), *dy = floats(args.in[1]), *mean_rstd = floats(args.in[2]),
                *gamma = floats(args.in[3]);
    const float* y = relu ? floats(args.in[5]) : nullptr;
    const auto* sums = static_cast<const double*>(args.in[4].data);
    const double pixels = static_cast<double>(static_cast<const BatchNorm*>(args.attrs)->pixels);
    const double inverse_count = 1.0 / (static_cast<double>(args.step->global_batch) * pixels);
    auto* dx = static_cast<float*>(args.out[0].data);
    const bool past = goes_past_caches(dx, planes), far = beyond_caches(planes);
    for_each_plane(planes, team, [&](int64_t offset, int64_t group) {
        const Chunk mean = channel_chunk(planes, group, mean_rstd);
        const Chunk rstd = channel_chunk(planes, group, mean_rstd + planes.channels);
        const Chunk scale = rstd * channel_chunk(planes, group, gamma);
        const Chunk mean_dy = mean_chunk(planes, group, sums, inverse_count);
        const Chunk slope = rstd * mean_chunk(planes, group, sums + planes.channels, inverse_count);
        write_plane(dx + offset, planes.plane_floats(), past, [&](int64_t i, int64_t left) {
            if (far) fetch_ahead(x + offset + i);
            const Chunk d = masked_gradient<relu>(dy + offset + i, relu ? y + offset + i : nullptr, left, far);
            const Chunk value = chunk_load(x + offset + i, left);
            const Chunk result = ((d - mean_dy) - (value - mean) * slope) * scale;
            return input_relu ? chunk_where_positive(value, result) : result;
        });
    });
    if (past) end_of_streams();
}

void run_grad_input(const KernelArgs& args, const Team& team) noexcept {
    const bool relu = has_operand(args.in, args.n_in, 5);
    const bool input_relu = static_cast<const BatchNorm*>(args.attrs)->input_activation == Activation::relu;
    if (relu)
        input_relu ? grad_input<true, true>(args, team) : grad_input<true, false>(args, team);
    else
        input_relu ? grad_input<false, true>(args, team) : grad_input<false, false>(args, team);
}

// All images (operands shaped like x) in one layout, everything that is not a sum in f32.
Support supports(const Problem& p) {
    for (int32_t i = 0; i < p.n_in; ++i) {
        if (p.in[i].rank == 4 && p.in[i].layout != p.in[0].layout) return refused("layout");
        const DType wanted = p.op == OpKind::batchnorm_grad_input && i == 4 ? DType::f64 : DType::f32;
        if (p.in[i].rank > 0 && p.in[i].dtype != wanted) return refused("element type");
    }
    return both(known_attributes(p), p.out[0].rank == 4 ? dense_f32(p.out[0], p.in[0].layout) : supported);
}

const Kernel rows[] = {
    {OpKind::batchnorm_statistics, "fused", this_isa, supports, sums_workspace, run_statistics},
    {OpKind::batchnorm_apply, "fused", this_isa, supports, nullptr, run_apply},
    {OpKind::batchnorm_grad_statistics, "fused", this_isa, supports, sums_workspace, run_grad_statistics},
    {OpKind::batchnorm_grad_input, "fused", this_isa, supports, nullptr, run_grad_input},
};

}  // namespace

KernelRows batchnorm_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
