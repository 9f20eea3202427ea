// "pool2x2": the backward passes of batch normalisation, ReLU and 2x2 max-pooling as one; plain, nchw16c, and plain images
// with a dy in nchw16c, which is turned band by band in the thread's workspace.
//   grad_statistics   reads the pooled tensors only: outside the winners dy is zero
//   grad_input        dx is x times a number of the channel plus another, plus dy at the winners; x is read once
// A window whose ReLU is closed, or that a dropout dropped, says so in its index, so that neither y nor random numbers are
// needed.
// Both are bound by memory: grad_input moves 26 GB/s, what a copy moves, at 16x32x224x224 on one core of an AMD EPYC of
// family 25 (AVX-512). Sums as in channel_sums.h; threads share (image, channel), sums (leaf, channel).
#include "kernels/batchnorm/channel_sums.h"
#include "kernels/batchnorm/pooled_rows.h"
#include "kernels/dropout/dropout_bits.h"
#include "kernels/simd/send_back.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows batchnorm_pool_grad_rows();
namespace {

const BatchNormPool& attributes(const Problem& p) { return *static_cast<const BatchNormPool*>(p.attrs); }

// ---- grad_statistics ----

struct PooledSums {
    const float *xhat, *dy;
    const uint8_t* index;  // null without ReLU and dropout
    float scale;           // of dy, by a dropout
};

// Adds `count` floats; dy may lie elsewhere than xhat and index.
XB_INLINE void add_pooled(const float* xhat, const uint8_t* index, const float* dy, float scale, int64_t count,
                          SumPair& sums) {
    add_plane(sums, count, [&](int64_t i, int64_t left, Chunk& a, Chunk& b) {
        Chunk d = chunk_load(dy + i, left) * chunk_set1(scale);
        for (int k = 0; index && k < chunk_parts; ++k) {
            const int lane = k * vf_width;
            d.part[k] = unless_at(load_places(index + i + lane, most_lanes(left - lane)), closed_window, d.part[k]);
        }
        a = a + d;
        b = chunk_fma(d, chunk_load(xhat + i, left), b);
    });
}

constexpr int64_t turned_pixels =
    int64_t{run_chunks} * chunk_size;  // one run of add_plane: the sums are those of plain images

// 16 channels of one leaf, dy blocked.
void add_mixed_leaf(const PooledSums& o, const Planes& planes, const StepContext& step, int64_t v, int64_t group,
                    float* scratch, SumPair* sums) {
    const int64_t groups = div_up(planes.channels, chunk_size), first = group * chunk_size;
    const int64_t channels = planes.channels - first < chunk_size ? planes.channels - first : int64_t{chunk_size};
    for (int64_t i = 0; i < channels; ++i) sums[i] = SumPair{};
    for (int64_t n = step.leaf_begin[v]; n < step.leaf_begin[v + 1]; ++n)
        for (int64_t pixel = 0; pixel < planes.pixels; pixel += turned_pixels) {
            const int64_t count = planes.pixels - pixel < turned_pixels ? planes.pixels - pixel : turned_pixels;
            const float* dy = o.dy + ((n * groups + group) * planes.pixels + pixel) * chunk_size;
            to_plain(dy, scratch, turned_pixels, channels, count);
            for (int64_t i = 0; i < channels; ++i) {
                const int64_t at = planes.offset(n, first + i) + pixel;
                add_pooled(o.xhat + at, o.index ? o.index + at : nullptr, scratch + i * turned_pixels, o.scale, count,
                           sums[i]);
            }
        }
}

size_t statistics_workspace(const Problem& p, int threads) {
    const Planes planes = planes_of(p.in[0]);
    const int64_t scratch = mixed_layouts(p.in[0], p.in[1]) ? threads * chunk_size * turned_pixels : 0;
    return static_cast<size_t>(p.leaves * planes.groups) * sizeof(SumPair) + static_cast<size_t>(scratch) * sizeof(float);
}

void run_grad_statistics(const KernelArgs& args, const Team& team) noexcept {
    const Planes planes = planes_of(args.in[0]);
    const StepContext& step = *args.step;
    PooledSums o{static_cast<const float*>(args.in[0].data), static_cast<const float*>(args.in[1].data), nullptr,
                 kept_scale(attributes(args).dropout)};
    if (has_operand(args.in, args.n_in, 2)) o.index = static_cast<const uint8_t*>(args.in[2].data);
    auto* partial = static_cast<SumPair*>(args.workspace);
    if (mixed_layouts(args.in[0], args.in[1])) {
        auto* scratch = reinterpret_cast<float*>(partial + args.leaves * planes.groups);
        scratch += int64_t{team.rank} * chunk_size * turned_pixels;
        const int64_t groups = div_up(planes.channels, chunk_size);
        const Share share = share_of(step.leaves * groups, team);
        for (int64_t task = share.begin; task < share.end; ++task) {
            const int64_t v = task / groups, group = task % groups;
            add_mixed_leaf(o, planes, step, v, group, scratch, partial + v * planes.groups + group * chunk_size);
        }
    } else {
        leaf_sums(planes, step, partial, team, [&](int64_t n, int64_t group, SumPair& sums) {
            const int64_t at = planes.offset(n, group);
            add_pooled(o.xhat + at, o.index ? o.index + at : nullptr, o.dy + at, o.scale, planes.plane_floats(), sums);
        });
    }
    team.barrier();
    add_leaves(planes, step, partial, static_cast<double*>(args.out[0].data), team);
}

// ---- grad_input ----

struct GradJob {
    const float *x, *dy;
    const uint8_t* index;
    float* dx;
    int64_t n, c, h, w, p, q;
    bool closed_input;  // dx only where x > 0
    double dy_scale;    // by a dropout
    const float *mean, *rstd, *gamma;
    const double* sums;
    double count;
};

// dx = scale x + offset + gain dy, of one channel.
struct ChannelGrad {
    float scale, offset, gain;
};
XB_INLINE ChannelGrad channel_grad(const GradJob& o, int64_t c) {
    const double rstd = static_cast<double>(o.rstd[c]), gain = static_cast<double>(o.gamma[c]) * rstd;
    const double mean_dy = o.sums[c] / o.count, mean_dy_xhat = o.sums[o.c + c] / o.count;
    const double scale = -gain * rstd * mean_dy_xhat;
    return {static_cast<float>(scale), static_cast<float>(-gain * mean_dy - static_cast<double>(o.mean[c]) * scale),
            static_cast<float>(gain * o.dy_scale)};
}

struct GradNumbers {
    VF scale, offset, gain;
};

XB_INLINE VF dx_of(const GradJob& o, const GradNumbers& g, VF x, VF d) {
    const VF dx = vf_fma(x, g.scale, g.offset) + d;
    return o.closed_input ? vf_where_positive(x, dx) : dx;
}

// Pixels that no window covers.
XB_INLINE void rim_plain(const GradJob& o, const GradNumbers& g, const float* x, float* dx, int64_t count) {
    for (int64_t i = 0; i < count; i += vf_width) {
        const VM mask = vm_first(most_lanes(count - i));
        vf_store(dx + i, dx_of(o, g, vf_load(x + i, mask), vf_zero()), mask);
    }
}

// The two rows of dx under `count` pooled elements of one plain channel.
XB_INLINE void grad_plain_windows(const GradJob& o, const GradNumbers& g, const float* x, const float* dy,
                                  const uint8_t* index, float* dx, int count) {
    const int first = most_lanes(2 * count), second = 2 * count - first;
    const VF d = load_first(dy, count) * g.gain;
    const Places places = load_places(index, count);
    for (int row = 0; row < 2; ++row, x += o.w, dx += o.w) {
        const VF even = only_at(places, 2 * row, d), odd = only_at(places, 2 * row + 1, d);
        const VF x0 = load_first(x, first), x1 = load_first(x + vf_width, second);
        store_first(dx, dx_of(o, g, x0, vf_weave_low(even, odd)), first);
        store_first(dx + vf_width, dx_of(o, g, x1, vf_weave_high(even, odd)), second);
    }
}

XB_INLINE void grad_row(const GradJob& o, const GradNumbers& g, const float* x, const float* dy, const uint8_t* index,
                        float* dx) {
    int64_t q = 0;
    for (; q + vf_width <= o.q; q += vf_width) grad_plain_windows(o, g, x + 2 * q, dy + q, index + q, dx + 2 * q, vf_width);
    if (q < o.q) grad_plain_windows(o, g, x + 2 * q, dy + q, index + q, dx + 2 * q, static_cast<int>(o.q - q));
    for (int64_t row = 0; row < 2 && 2 * o.q < o.w; ++row) {
        const int64_t pixel = row * o.w + 2 * o.q;
        rim_plain(o, g, x + pixel, dx + pixel, o.w - 2 * o.q);
    }
}

// Pooled rows p0 .. p1-1 of a channel's plane, and the rim below the last.
XB_INLINE void grad_rows(const GradJob& o, int64_t plane, int64_t p0, int64_t p1, const float* dy) {
    const ChannelGrad numbers = channel_grad(o, plane % o.c);
    const GradNumbers g{vf_set1(numbers.scale), vf_set1(numbers.offset), vf_set1(numbers.gain)};
    const int64_t image = plane * o.h * o.w;
    for (int64_t p = p0; p < p1; ++p) {
        const int64_t at = image + 2 * p * o.w;
        grad_row(o, g, o.x + at, dy + (p - p0) * o.q, o.index + (plane * o.p + p) * o.q, o.dx + at);
    }
    if (p1 < o.p) return;
    for (int64_t row = 2 * o.p; row < o.h; ++row) rim_plain(o, g, o.x + image + row * o.w, o.dx + image + row * o.w, o.w);
}

void grad_plain(const GradJob& o, const Team& team) {
    const Share planes = share_of(o.n * o.c, team);
    for (int64_t plane = planes.begin; plane < planes.end; ++plane) grad_rows(o, plane, 0, o.p, o.dy + plane * o.p * o.q);
}

void grad_mixed(const GradJob& o, float* scratch, const Team& team) {
    const int64_t groups = div_up(o.c, chunk_size), band = band_rows(o.q);
    const int64_t channel_step = band_scratch_floats(o.q) / chunk_size;
    scratch += team.rank * band_scratch_floats(o.q);
    const Share tasks = share_of(o.n * groups, team);
    for (int64_t task = tasks.begin; task < tasks.end; ++task) {
        const int64_t n = task / groups, first = task % groups * chunk_size;
        const int64_t channels = o.c - first < chunk_size ? o.c - first : int64_t{chunk_size};
        for (int64_t p = 0; p < o.p; p += band) {
            const int64_t end = p + band < o.p ? p + band : o.p;
            const float* dy = o.dy + (task * o.p + p) * o.q * chunk_size;
            to_plain(dy, scratch, channel_step, channels, (end - p) * o.q);
            for (int64_t i = 0; i < channels; ++i) grad_rows(o, n * o.c + first + i, p, end, scratch + i * channel_step);
        }
    }
}

// One image's 16 channels.
template <bool past>
void grad_blocked_plane(const GradJob& o, int64_t plane, const GradNumbers (&g)[chunk_parts]) {
    const int64_t image = plane * o.h * o.w * chunk_size;
    const auto put = [&](int64_t h, int64_t w, int k, VF d) {
        const int64_t pixel = image + (h * o.w + w) * chunk_size + k * vf_width;
        vf_write<past>(o.dx + pixel, dx_of(o, g[k], vf_load(o.x + pixel), d));
    };
    const int64_t pooled = plane * o.p * o.q * chunk_size;
    const auto gradient = [&](int64_t at, int k) { return vf_load(o.dy + pooled + at) * g[k].gain; };
    send_back_2x2(o.p, o.q, o.index + pooled, gradient, put);
    for (int64_t h = 0; h < o.h; ++h)
        for (int64_t w = h < 2 * o.p ? 2 * o.q : 0; w < o.w; ++w)  // the rim
            for (int k = 0; k < chunk_parts; ++k) put(h, w, k, vf_zero());
}

void grad_blocked(const GradJob& o, const Team& team) {
    const int64_t groups = div_up(o.c, chunk_size);
    const Share planes = share_of(o.n * groups, team);
    const int64_t floats = o.h * o.w * chunk_size;
    const bool past = goes_past_caches(o.dx, o.n * groups * floats, floats);
    for (int64_t plane = planes.begin; plane < planes.end; ++plane) {
        float numbers[3][chunk_size] = {};  // zero past the last channel: so is dx
        const int64_t first = plane % groups * chunk_size;
        for (int64_t c = first; c < o.c && c < first + chunk_size; ++c) {
            const ChannelGrad g = channel_grad(o, c);
            numbers[0][c - first] = g.scale, numbers[1][c - first] = g.offset, numbers[2][c - first] = g.gain;
        }
        GradNumbers g[chunk_parts];
        for (int k = 0; k < chunk_parts; ++k)
            g[k] = {vf_load(numbers[0] + k * vf_width), vf_load(numbers[1] + k * vf_width),
                    vf_load(numbers[2] + k * vf_width)};
        past ? grad_blocked_plane<true>(o, plane, g) : grad_blocked_plane<false>(o, plane, g);
    }
    if (past) end_of_streams();
}

size_t input_workspace(const Problem& p, int threads) {
    if (!mixed_layouts(p.in[0], p.in[1])) return 0;
    return static_cast<size_t>(threads * band_scratch_floats(p.in[1].dim[3])) * sizeof(float);
}

void run_grad_input(const KernelArgs& args, const Team& team) noexcept {
    const KernelTensor &x = args.in[0], &dy = args.in[1];
    const BatchNormPool& a = attributes(args);
    GradJob o{};
    o.x = static_cast<const float*>(x.data);
    o.dy = static_cast<const float*>(dy.data);
    o.index = static_cast<const uint8_t*>(args.in[2].data);
    o.mean = static_cast<const float*>(args.in[3].data);
    o.rstd = o.mean + x.dim[1];
    o.gamma = static_cast<const float*>(args.in[4].data);
    o.sums = static_cast<const double*>(args.in[5].data);
    o.dx = static_cast<float*>(args.out[0].data);
    o.n = x.dim[0], o.c = x.dim[1], o.h = x.dim[2], o.w = x.dim[3], o.p = dy.dim[2], o.q = dy.dim[3];
    o.dy_scale = static_cast<double>(kept_scale(a.dropout));
    o.closed_input = a.norm.input_activation == Activation::relu;
    o.count = static_cast<double>(args.step->global_batch) * static_cast<double>(a.norm.pixels);
    if (mixed_layouts(x, dy))
        grad_mixed(o, static_cast<float*>(args.workspace), team);
    else if (is_blocked(x))
        grad_blocked(o, team);
    else
        grad_plain(o, team);
}

Support supports(const Problem& p) {
    const BatchNormPool& a = attributes(p);
    if (a.r != 2 || a.s != 2) return refused("window");
    if (p.in[0].layout != p.in[1].layout && !mixed_layouts(p.in[0], p.in[1])) return refused("layout");
    if (p.in[0].dtype != DType::f32) return refused("element type");
    return known_attributes(p);
}

const Kernel rows[] = {
    {OpKind::batchnorm_pool_grad_statistics, "pool2x2", this_isa, supports, statistics_workspace, run_grad_statistics},
    {OpKind::batchnorm_pool_grad_input, "pool2x2", this_isa, supports, input_workspace, run_grad_input},
};

}  // namespace

KernelRows batchnorm_pool_grad_rows() { return {rows, sizeof rows / sizeof rows[0]}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
