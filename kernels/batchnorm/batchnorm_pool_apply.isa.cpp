// "pool2x2": batch normalisation, ReLU and 2x2 max-pooling in one pass; plain, nchw16c, and plain images with a pooled
// output in nchw16c. Reads x once and writes y, index and xhat at a quarter of its size: the normalised image is never
// written. The maximum is taken of x times the sign of gamma, so only the winner is normalised; rounds of a tournament,
// whose first of equals wins. Where gamma is positive, as it nearly always is, the sign is left out. A dropout behind it
// drops and scales the winner at once. Bound by memory: 24 GB/s of the 26 that a copy moves at 16x32x224x224 on one core of
// an AMD EPYC of family 25 (AVX-512). Threads share (image, channel) or (image, 16 channels).
#include "kernels/batchnorm/pooled_rows.h"
#include "kernels/dropout/dropout_bits.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows batchnorm_pool_apply_rows();
namespace {

struct ApplyJob {
    const float *x, *mean, *rstd, *gamma, *beta;
    float *y, *xhat;  // xhat and index are null in inference
    uint8_t* index;
    int64_t n, c, h, w, p, q;
    bool relu;
    DropoutBits dropout;  // where there are numbers for it
};

struct ChannelNumbers {
    VF mean, rstd, gamma, beta, closed, sign;  // closed: the index of a closed window, 0 for padding channels
    VM has_sign;
    bool positive;  // gamma, of all channels that are there
};
XB_INLINE ChannelNumbers with_sign(VF mean, VF rstd, VF gamma, VF beta, VF closed, bool positive) {
    const VM up = vm_greater(gamma, vf_zero()), down = vm_greater(vf_zero(), gamma);
    const VF sign = vf_select(up, vf_set1(1), vf_select(down, vf_set1(-1), vf_zero()));
    return {mean, rstd, gamma, beta, closed, sign, vm_greater(sign * sign, vf_zero()), positive};
}

// The largest of a window's four values after the scale's sign, the first one if tied.
struct Winner {
    VF value, place;
};
template <bool positive>
XB_INLINE Winner winner(VF v0, VF v1, VF v2, VF v3, const ChannelNumbers& k) {
    const VF a = positive ? v0 : v0 * k.sign, b = positive ? v1 : v1 * k.sign;
    const VF c = positive ? v2 : v2 * k.sign, d = positive ? v3 : v3 * k.sign;
    const VM top = vm_beats(b, a), bottom = vm_beats(d, c);
    const VF of_top = vf_select(top, b, a), of_bottom = vf_select(bottom, d, c);
    const VM below = vm_beats(of_bottom, of_top);
    const VF place = vf_select(below, vf_select(bottom, vf_set1(3), vf_set1(2)), vf_select(top, vf_set1(1), vf_zero()));
    const VF largest = vf_select(below, of_bottom, of_top);
    if (positive) return {largest, place};
    const VF with_sign = largest * k.sign;  // NaN where the window has one, whatever the scale
    return {vf_select(k.has_sign, with_sign, vf_select(vm_beats(with_sign, vf_zero()), with_sign, v0)), place};
}

// u: the dropout's numbers, where it drops.
template <bool drops>
XB_INLINE void put(const ApplyJob& o, const ChannelNumbers& k, Winner win, const float* u, float* y, float* xhat,
                   uint8_t* index, int count) {
    const VF normalised = (win.value - k.mean) * k.rstd;
    VF value = vf_fma(normalised, k.gamma, k.beta), place = win.place;
    if (o.relu) {
        place = vf_select(vm_greater(value, vf_zero()), place, k.closed);
        value = vf_relu(value);
    }
    if constexpr (drops) {
        const VF number = vf_load(u);
        place = vf_select(o.dropout.dropped(number), k.closed, place);
        value = o.dropout.keep(number, value);
    }
    store_first(y, value, count);
    if (!o.xhat) return;
    store_first(xhat, normalised, count);
    store_bytes(index, place, count);
}

// `count` outputs of one pooled row of one plain channel.
template <bool drops, bool positive>
XB_INLINE void put_plain(const ApplyJob& o, const ChannelNumbers& k, const float* top, const float* u, float* y, int64_t at,
                         int count) {
    const int first = most_lanes(2 * count), second = 2 * count - first;
    const float* bottom = top + o.w;
    const VF a0 = load_first(top, first), a1 = load_first(top + vf_width, second);
    const VF b0 = load_first(bottom, first), b1 = load_first(bottom + vf_width, second);
    const Winner win =
        winner<positive>(vf_mixed_even(a0, a1), vf_mixed_odd(a0, a1), vf_mixed_even(b0, b1), vf_mixed_odd(b0, b1), k);
    put<drops>(o, k, {vf_unmixed(win.value), vf_unmixed(win.place)}, u, y, o.xhat + at, o.index + at, count);
}

// One pooled row; `at` is its place in xhat and index. Asks for the same row of the plane at `ahead`.
template <bool drops, bool positive>
XB_INLINE void apply_signed_row(const ApplyJob& o, const ChannelNumbers& k, const float* top, const float* ahead,
                                const float* u, float* y, int64_t at) {
    int64_t q = 0;
    for (; q + vf_width <= o.q; q += vf_width) {
        for (int64_t i = 0; ahead && i < 2 * vf_width; i += chunk_size) {
            __builtin_prefetch(ahead + 2 * q + i);
            __builtin_prefetch(ahead + o.w + 2 * q + i);
        }
        put_plain<drops, positive>(o, k, top + 2 * q, drops ? u + q : nullptr, y + q, at + q, vf_width);
    }
    if (q < o.q)
        put_plain<drops, positive>(o, k, top + 2 * q, drops ? u + q : nullptr, y + q, at + q, static_cast<int>(o.q - q));
}

template <bool drops>
XB_INLINE void apply_row(const ApplyJob& o, const ChannelNumbers& k, const float* top, const float* ahead, const float* u,
                         float* y, int64_t at) {
    k.positive ? apply_signed_row<drops, true>(o, k, top, ahead, u, y, at)
               : apply_signed_row<drops, false>(o, k, top, ahead, u, y, at);
}

XB_INLINE ChannelNumbers numbers_of(const ApplyJob& o, int64_t c) {
    return with_sign(vf_set1(o.mean[c]), vf_set1(o.rstd[c]), vf_set1(o.gamma[c]), vf_set1(o.beta[c]), vf_set1(closed_window),
                     o.gamma[c] > 0);
}

template <bool drops>
void apply_plain(const ApplyJob& o, RowMask mask, const Team& team) {
    const Share planes = share_of(o.n * o.c, team);
    for (int64_t plane = planes.begin; plane < planes.end; ++plane) {
        const ChannelNumbers k = numbers_of(o, plane % o.c);
        for (int64_t p = 0; p < o.p; ++p) {
            const int64_t at = (plane * o.p + p) * o.q;
            apply_row<drops>(o, k, o.x + (plane * o.h + 2 * p) * o.w, nullptr,
                             row_numbers(mask, plane / o.c, plane % o.c, p), o.y + at, at);
        }
    }
}

template <bool drops>
void apply_mixed(const ApplyJob& o, RowMask mask, float* scratch, const Team& team) {
    const int64_t groups = div_up(o.c, chunk_size), band = band_rows(o.q);
    const int64_t channel_step = band_scratch_floats(o.q) / chunk_size;
    const Share tasks = share_of(o.n * groups, team);
    for (int64_t task = tasks.begin; task < tasks.end; ++task) {
        const int64_t n = task / groups, first = task % groups * chunk_size;
        const int64_t channels = o.c - first < chunk_size ? o.c - first : int64_t{chunk_size};
        for (int64_t p0 = 0; p0 < o.p; p0 += band) {
            const int64_t rows = o.p - p0 < band ? o.p - p0 : band;
            for (int64_t i = 0; i < channels; ++i) {
                const ChannelNumbers k = numbers_of(o, first + i);
                const int64_t plane = n * o.c + first + i;
                // A band of a channel is a few KiB, too short for the processor to see a stream of loads.
                const int64_t step = (i + 1 < channels ? o.h : 2 * rows - (channels - 1) * o.h) * o.w;
                for (int64_t p = p0; p < p0 + rows; ++p) {
                    const float* top = o.x + (plane * o.h + 2 * p) * o.w;
                    apply_row<drops>(o, k, top, top + step, row_numbers(mask, n, first + i, p),
                                     scratch + i * channel_step + (p - p0) * o.q, (plane * o.p + p) * o.q);
                }
            }
            to_blocked(scratch, channel_step, o.y + (task * o.p + p0) * o.q * chunk_size, channels, rows * o.q);
        }
    }
}

// One image's 16 channels.
template <bool drops, bool positive>
XB_INLINE void apply_plane(const ApplyJob& o, const ChannelNumbers (&k)[chunk_parts], RowMask mask, int64_t plane,
                           int64_t groups) {
    const int64_t row = o.w * chunk_size;
    for (int64_t p = 0; p < o.p; ++p) {
        const float* u = row_numbers(mask, plane / groups, plane % groups, p);
        for (int64_t q = 0; q < o.q; ++q) {
            const float* top = o.x + (plane * o.h + 2 * p) * row + 2 * q * chunk_size;
            for (int i = 0; i < chunk_parts; ++i) {
                const int lane = i * vf_width;
                const int64_t at = ((plane * o.p + p) * o.q + q) * chunk_size + lane;
                const Winner win = winner<positive>(vf_load(top + lane), vf_load(top + chunk_size + lane),
                                                    vf_load(top + row + lane), vf_load(top + row + chunk_size + lane), k[i]);
                put<drops>(o, k[i], win, drops ? u + q * chunk_size + lane : nullptr, o.y + at, o.xhat + at, o.index + at,
                           vf_width);
            }
        }
    }
}

template <bool drops>
void apply_blocked(const ApplyJob& o, RowMask mask, const Team& team) {
    const int64_t groups = div_up(o.c, chunk_size);
    const Share planes = share_of(o.n * groups, team);
    for (int64_t plane = planes.begin; plane < planes.end; ++plane) {
        ChannelNumbers k[chunk_parts];
        const int64_t first = plane % groups * chunk_size;
        bool positive = true;
        for (int64_t c = first; c < o.c && c < first + chunk_size; ++c) positive = positive && o.gamma[c] > 0;
        for (int i = 0; i < chunk_parts; ++i) {
            const int64_t c = first + i * vf_width;
            const VM real = vm_first(most_lanes(o.c - c));
            k[i] = with_sign(vf_load(o.mean + c, real), vf_load(o.rstd + c, real), vf_load(o.gamma + c, real),
                             vf_load(o.beta + c, real), vf_select(real, vf_set1(closed_window), vf_zero()), positive);
        }
        positive ? apply_plane<drops, true>(o, k, mask, plane, groups)
                 : apply_plane<drops, false>(o, k, mask, plane, groups);
    }
}

// A thread's workspace: the dropout's numbers for a row, then a band.
int64_t mask_floats(const Problem& p) {
    return row_mask_floats(static_cast<const BatchNormPool*>(p.attrs)->dropout, is_blocked(p.in[0]), p.out[0].dim[3]);
}
int64_t thread_floats(const Problem& p) {
    return mask_floats(p) + (mixed_layouts(p.in[0], p.out[0]) ? band_scratch_floats(p.out[0].dim[3]) : 0);
}
size_t workspace(const Problem& p, int threads) { return static_cast<size_t>(threads * thread_floats(p)) * sizeof(float); }

template <bool drops>
void apply(const Problem& p, const ApplyJob& o, const RowMask& mask, float* band, const Team& team) {
    if (mixed_layouts(p.in[0], p.out[0]))
        apply_mixed<drops>(o, mask, band, team);
    else if (is_blocked(p.in[0]))
        apply_blocked<drops>(o, mask, team);
    else
        apply_plain<drops>(o, mask, team);
}

void run(const KernelArgs& args, const Team& team) noexcept {
    const KernelTensor &x = args.in[0], &y = args.out[0];
    ApplyJob o{};
    o.x = static_cast<const float*>(x.data);
    o.mean = static_cast<const float*>(args.in[1].data);
    o.rstd = o.mean + x.dim[1];
    o.gamma = static_cast<const float*>(args.in[2].data);
    o.beta = static_cast<const float*>(args.in[3].data);
    o.y = static_cast<float*>(y.data);
    if (has_operand(args.out, args.n_out, 2)) {
        o.index = static_cast<uint8_t*>(args.out[1].data);
        o.xhat = static_cast<float*>(args.out[2].data);
    }
    o.n = x.dim[0], o.c = x.dim[1], o.h = x.dim[2], o.w = x.dim[3], o.p = y.dim[2], o.q = y.dim[3];
    const auto& a = *static_cast<const BatchNormPool*>(args.attrs);
    o.relu = a.norm.activation == Activation::relu;
    o.dropout = dropout_bits(a.dropout, *args.step);
    float* mine = static_cast<float*>(args.workspace) + team.rank * thread_floats(args);
    const RowMask mask = row_mask(a.dropout, *args.step, is_blocked(x), o.p, o.q, mine);
    float* band = mine + mask_floats(args);
    mask.present ? apply<true>(args, o, mask, band, team) : apply<false>(args, o, mask, band, team);
}

Support supports(const Problem& p) {
    const auto& a = *static_cast<const BatchNormPool*>(p.attrs);
    if (a.r != 2 || a.s != 2) return refused("window");
    if (p.in[0].layout != p.out[0].layout && !mixed_layouts(p.in[0], p.out[0])) return refused("layout");
    for (int32_t o = 1; o < p.n_out; ++o)  // index and xhat lie as x does
        if (has_operand(p.out, p.n_out, o) && p.out[o].layout != p.in[0].layout) return refused("layout");
    if (p.in[0].dtype != DType::f32) return refused("element type");
    if (a.dropout.p > 0 && !has_narrow_counters(p.out[0].dim[1], p.out[0].dim[2] * p.out[0].dim[3]))
        return refused("dropout of images so large");
    return known_attributes(p);
}

const Kernel rows[] = {{OpKind::batchnorm_pool_apply, "pool2x2", this_isa, supports, workspace, run}};

}  // namespace

KernelRows batchnorm_pool_apply_rows() { return {rows, sizeof rows / sizeof rows[0]}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
