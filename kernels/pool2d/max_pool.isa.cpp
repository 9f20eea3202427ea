// "window": max-pooling and its gradient, f32, plain and nchw16c. Vectors lie along the width when plain and along the
// channels when blocked, each with a path of its own for 2x2 windows at stride 2. Positions are counted in floats and stored
// as bytes. The gradient writes each element of dx once where windows do not overlap, or are 3x3 at stride 2 and blocked;
// else it clears a plane and adds the windows in ascending order. Threads share (image, channel group).
// Bound by memory: 2x2 over 8x64x112x112 moves 29 to 35 GB/s, forward and backward, 110 GB/s in the second-level cache; 3x3
// at stride 2 3 and 10 GB/s plain (one core of an AMD EPYC 9005, AVX-512; memcpy moves 47 GB/s), blocked 45 and 57 GB/s in
// the second-level cache, 16 and 11 beyond the caches (an Intel Xeon; memcpy 23).
#include "kernels/pool2d/max_pool_grad.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows max_pool_rows();
namespace {

// The largest so far and its place; the first of equals stays, and a NaN is larger than everything.
struct Best {
    VF value, place;
};
XB_INLINE void challenge(Best& best, VF candidate, float place) {
    const VM wins = vm_beats(candidate, best.value);
    best.value = vf_select(wins, candidate, best.value);
    best.place = vf_select(wins, vf_set1(place), best.place);
}

// ---- forward ----

// What a dropout makes of a window; u: its numbers; closed: the index of what it drops.
XB_INLINE void drop(const RowMask& mask, const float* u, VF closed, Best& best) {
    const VF number = vf_load(u);
    best.place = vf_select(mask.bits.dropped(number), closed, best.place);
    best.value = mask.bits.keep(number, best.value);
}

// `count` outputs of a plain 2x2 pooling; u: numbers of the dropout, where it drops.
template <bool drops>
XB_INLINE void outputs_2x2(const float* top, const float* bottom, int count, const RowMask& mask, const float* u, float* y,
                           uint8_t* index) {
    const VM first = vm_first(clamp_lane(2 * count, vf_width)),
             second = vm_first(clamp_lane(2 * count - vf_width, vf_width));
    const VF a = vf_load(top, first), b = vf_load(top + vf_width, second);
    const VF c = vf_load(bottom, first), d = vf_load(bottom + vf_width, second);
    Best best{vf_even(a, b), vf_zero()};
    challenge(best, vf_odd(a, b), 1);
    challenge(best, vf_even(c, d), 2);
    challenge(best, vf_odd(c, d), 3);
    if constexpr (drops) drop(mask, u, vf_set1(closed_window), best);
    vf_store(y, best.value, vm_first(count));
    if (index) store_bytes(index, best.place, count);
}

template <bool drops>
XB_INLINE void row_2x2(const float* top, int64_t w, int64_t q_end, const RowMask& mask, const float* u, float* y,
                       uint8_t* index) {
    const auto outputs = [&](int64_t q, int count) {
        outputs_2x2<drops>(top + 2 * q, top + w + 2 * q, count, mask, drops ? u + q : nullptr, y + q,
                           index ? index + q : nullptr);
    };
    int64_t q = 0;
    for (; q + vf_width <= q_end; q += vf_width) outputs(q, vf_width);
    if (q < q_end) outputs(q, static_cast<int>(q_end - q));
}

// The first place inside the image of the windows from output q on, in row i of the windows: what a window of nothing but
// -Inf has its maximum at.
XB_INLINE VF first_places(const PoolGeometry& g, int64_t i, int64_t q) {
    float places[vf_width];
    for (int lane = 0; lane < vf_width; ++lane) {
        const int64_t outside = g.a.pad_w - (q + lane) * g.a.stride_w;
        places[lane] = static_cast<float>(i * g.a.s + (outside > 0 ? outside : 0));
    }
    return vf_load(places);
}

void plane_plain(const PoolGeometry& g, int64_t plane, RowMask& mask, const float* x, float* y, uint8_t* index) {
    for (int64_t p = 0; p < g.p; ++p, y += g.q, index += index ? g.q : 0) {
        const int64_t top = p * g.a.stride_h - g.a.pad_h;
        if (g.is_2x2()) {
            const float* u = row_numbers(mask, plane / g.planes.groups, plane % g.planes.groups, p);
            u ? row_2x2<true>(x + top * g.w, g.w, g.q, mask, u, y, index)
              : row_2x2<false>(x + top * g.w, g.w, g.q, mask, u, y, index);
            continue;
        }
        const Taps rows = taps_inside(top, g.a.r, g.h);
        for (int64_t q = 0; q < g.q; q += vf_width) {
            const int count = clamp_lane(g.q - q, vf_width);
            Best best{vf_set1(-__builtin_inff()), first_places(g, rows.begin, q)};
            for (int64_t i = rows.begin; i < rows.end; ++i)
                for (int64_t j = 0; j < g.a.s; ++j) {
                    const Lanes lanes =
                        load_lanes(x + (top + i) * g.w, q * g.a.stride_w - g.a.pad_w + j, g.a.stride_w, g.w, count);
                    challenge(best, vf_select(lanes.inside, lanes.value, vf_set1(-__builtin_inff())),
                              static_cast<float>(i * g.a.s + j));
                }
            vf_store(y + q, best.value, vm_first(count));
            if (index) store_bytes(index + q, best.place, count);
        }
    }
}

// The same for 2x2 windows at stride 2, where everything is known.
template <bool drops>
void plane_blocked_2x2(const PoolGeometry& g, int64_t plane, RowMask& mask, const float* x, float* y, uint8_t* index) {
    const int64_t n = plane / g.planes.groups, group = plane % g.planes.groups;
    const Chunk closed = real_lanes(channels_of_group(g.planes, group), closed_window);
    for (int64_t p = 0; p < g.p; ++p) {
        const float* u = row_numbers(mask, n, group, p);
        const float *top = x + 2 * p * g.w * chunk_size, *bottom = top + g.w * chunk_size;
        for (int64_t q = 0; q < g.q; ++q, top += 2 * chunk_size, bottom += 2 * chunk_size, y += chunk_size)
            for (int k = 0; k < chunk_parts; ++k) {
                const int lane = k * vf_width;
                Best best{vf_load(top + lane), vf_zero()};
                challenge(best, vf_load(top + chunk_size + lane), 1);
                challenge(best, vf_load(bottom + lane), 2);
                challenge(best, vf_load(bottom + chunk_size + lane), 3);
                if constexpr (drops) drop(mask, u + q * chunk_size + lane, closed.part[k], best);
                vf_store(y + lane, best.value);
                if (index) store_bytes(index + (p * g.q + q) * chunk_size + lane, best.place, vf_width);
            }
    }
}

// A 3x3 window inside the image: nothing but its nine loads is left to do at run time.
XB_INLINE Best best_of_3x3(const float* corner, int64_t row) {
    Best best{vf_set1(-__builtin_inff()), vf_zero()};
#pragma GCC unroll 3
    for (int i = 0; i < 3; ++i)
#pragma GCC unroll 3
        for (int j = 0; j < 3; ++j)
            challenge(best, vf_load(corner + i * row + j * chunk_size), static_cast<float>(i * 3 + j));
    return best;
}

// The pixels that the window below this one reads first: the rows of a plane are streams that end with each row of windows.
XB_INLINE void fetch_below(const PoolGeometry& g, const float* corner) {
    for (int64_t i = g.a.r; i < g.a.r + g.a.stride_h; ++i)
        for (int64_t j = 0; j < g.a.stride_w; ++j) __builtin_prefetch(corner + (i * g.w + j) * chunk_size);
}

// `real` channels of the group; the places of the others are 0, like their values.
void plane_blocked(const PoolGeometry& g, const float* x, float* y, uint8_t* index, int64_t real) {
    for (int64_t p = 0; p < g.p; ++p)
        for (int64_t q = 0; q < g.q; ++q) {
            const int64_t top = p * g.a.stride_h - g.a.pad_h, left = q * g.a.stride_w - g.a.pad_w;
            const Taps rows = taps_inside(top, g.a.r, g.h), columns = taps_inside(left, g.a.s, g.w);
            const bool all_3x3 = g.a.r == 3 && g.a.s == 3 && rows.end - rows.begin == 3 && columns.end - columns.begin == 3;
            const int64_t at = (p * g.q + q) * chunk_size;
            if (all_3x3) fetch_below(g, x + (top * g.w + left) * chunk_size);
            for (int k = 0; k < chunk_parts; ++k) {
                const float* corner = x + (top * g.w + left) * chunk_size + k * vf_width;
                Best best{vf_set1(-__builtin_inff()), vf_set1(static_cast<float>(rows.begin * g.a.s + columns.begin))};
                if (all_3x3)
                    best = best_of_3x3(corner, g.w * chunk_size);
                else
                    for (int64_t i = rows.begin; i < rows.end; ++i)
                        for (int64_t j = columns.begin; j < columns.end; ++j)
                            challenge(best, vf_load(corner + (i * g.w + j) * chunk_size), static_cast<float>(i * g.a.s + j));
                vf_store(y + at + k * vf_width, best.value);
                if (!index) continue;
                const VM lanes = vm_first(clamp_lane(real - k * vf_width, vf_width));
                store_bytes(index + at + k * vf_width, vf_select(lanes, best.place, vf_zero()), vf_width);
            }
        }
}

int64_t mask_floats(const Problem& p) {
    return row_mask_floats(static_cast<const Pool2d*>(p.attrs)->dropout, is_blocked(p.in[0]), p.out[0].dim[3]);
}
size_t forward_workspace(const Problem& p, int threads) {
    return static_cast<size_t>(threads * mask_floats(p)) * sizeof(float);
}

void run_forward(const KernelArgs& args, const Team& team) noexcept {
    const PoolGeometry g = pool_geometry(args, args.in[0], args.out[0]);
    float* numbers = static_cast<float*>(args.workspace) + team.rank * mask_floats(args);
    RowMask mask = row_mask(g.a.dropout, *args.step, g.planes.blocked, g.p, g.q, numbers);
    const auto* x = static_cast<const float*>(args.in[0].data);
    auto* y = static_cast<float*>(args.out[0].data);
    auto* index = has_operand(args.out, args.n_out, 1) ? static_cast<uint8_t*>(args.out[1].data) : nullptr;
    for_each_pool_plane(g, team, [&](int64_t plane, int64_t image, int64_t pooled) {
        uint8_t* places = index ? index + pooled : nullptr;
        if (g.planes.blocked && g.is_2x2())
            mask.present ? plane_blocked_2x2<true>(g, plane, mask, x + image, y + pooled, places)
                         : plane_blocked_2x2<false>(g, plane, mask, x + image, y + pooled, places);
        else if (g.planes.blocked)
            plane_blocked(g, x + image, y + pooled, places, channels_of_group(g.planes, plane % g.planes.groups));
        else
            plane_plain(g, plane, mask, x + image, y + pooled, places);
    });
}

// ---- gradient ----

void run_grad(const KernelArgs& args, const Team& team) noexcept {
    const PoolGeometry g = pool_geometry(args, args.out[0], args.in[0]);
    const auto* dy = static_cast<const float*>(args.in[0].data);
    const auto* index = static_cast<const uint8_t*>(args.in[1].data);
    const auto* y = has_operand(args.in, args.n_in, 2) ? static_cast<const float*>(args.in[2].data) : nullptr;
    auto* dx = static_cast<float*>(args.out[0].data);
    const bool past = goes_past_caches(dx, g.planes);  // the vectors of a line side by side: parts go to memory apart
    for_each_pool_plane(g, team, [&](int64_t, int64_t image, int64_t pooled) {
        const GradPlane plane{dy + pooled, y ? y + pooled : nullptr, index + pooled, dx + image, kept_scale(g.a.dropout)};
        if (g.planes.blocked && g.is_2x2())
            past ? grad_blocked_2x2<true>(g, plane) : grad_blocked_2x2<false>(g, plane);
        else if (g.planes.blocked && is_3x3_by_2(g))
            past ? grad_blocked_3x3<true>(g, plane) : grad_blocked_3x3<false>(g, plane);
        else if (g.planes.blocked)
            grad_blocked(g, plane);
        else if (g.is_2x2())
            grad_plain_2x2(g, plane);
        else
            grad_plain(g, plane);
    });
    if (past) end_of_streams();
}

const Kernel rows[] = {
    {OpKind::max_pool2d, "window", this_isa, pool_supports, forward_workspace, run_forward},
    {OpKind::max_pool2d_grad, "window", this_isa, pool_supports, nullptr, run_grad},
};

}  // namespace

KernelRows max_pool_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
