// The gradient of max-pooling (max_pool.isa.cpp), a plane at a time: planes that windows cover once are written once, others
// are cleared and the windows added in ascending order.
#pragma once

#include "kernels/pool2d/window.h"
#include "kernels/simd/send_back.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

struct GradPlane {
    const float *dy, *y;  // y is null, or the output of a ReLU: its gradient comes along
    const uint8_t* index;
    float* dx;
    float scale;  // of dy, by a dropout
};

XB_INLINE VF gradient_at(const GradPlane& plane, int64_t at, VM lanes) {
    const VF d = vf_load(plane.dy + at, lanes) * vf_set1(plane.scale);
    return plane.y ? vf_where_positive(vf_load(plane.y + at, lanes), d) : d;
}

// `count` elements of dy to two rows of dx.
XB_INLINE void grads_2x2(const GradPlane& plane, int64_t at, int count, float* top, float* bottom) {
    const VM first = vm_first(clamp_lane(2 * count, vf_width)),
             second = vm_first(clamp_lane(2 * count - vf_width, vf_width));
    const VF d = gradient_at(plane, at, vm_first(count));
    const Places places = load_places(plane.index + at, count);
    float* rows[2] = {top, bottom};
    for (int row = 0; row < 2; ++row) {
        const VF even = only_at(places, 2 * row, d), odd = only_at(places, 2 * row + 1, d);
        vf_store(rows[row], vf_weave_low(even, odd), first);
        vf_store(rows[row] + vf_width, vf_weave_high(even, odd), second);
    }
}

// What no window covers becomes zero.
void grad_plain_2x2(const PoolGeometry& g, const GradPlane& plane) {
    for (int64_t p = 0; p < g.p; ++p) {
        float *top = plane.dx + 2 * p * g.w, *bottom = top + g.w;
        int64_t q = 0;
        for (; q + vf_width <= g.q; q += vf_width) grads_2x2(plane, p * g.q + q, vf_width, top + 2 * q, bottom + 2 * q);
        if (q < g.q) grads_2x2(plane, p * g.q + q, static_cast<int>(g.q - q), top + 2 * q, bottom + 2 * q);
        zero_floats(top + 2 * g.q, g.w - 2 * g.q);
        zero_floats(bottom + 2 * g.q, g.w - 2 * g.q);
    }
    zero_floats(plane.dx + 2 * g.p * g.w, (g.h - 2 * g.p) * g.w);
}

void grad_plain(const PoolGeometry& g, const GradPlane& plane) {
    zero_floats(plane.dx, g.h * g.w);
    for (int64_t p = 0; p < g.p; ++p)
        for (int64_t q = 0; q < g.q; ++q) {
            const int64_t at = p * g.q + q, place = plane.index[at];
            const int64_t h = p * g.a.stride_h - g.a.pad_h + place / g.a.s, w = q * g.a.stride_w - g.a.pad_w + place % g.a.s;
            const bool inside = place != closed_window && h >= 0 && h < g.h && w >= 0 && w < g.w;
            if (inside && (!plane.y || plane.y[at] > 0)) plane.dx[h * g.w + w] += plane.dy[at];
        }
}

void grad_blocked(const PoolGeometry& g, const GradPlane& plane) {
    const bool overlaps = g.overlaps();
    // Whether each element of dx has its window: they lie side by side and reach the last row and column.
    const bool covered = !overlaps && g.a.stride_h == g.a.r && g.a.stride_w == g.a.s && g.p * g.a.r - g.a.pad_h >= g.h &&
                         g.q * g.a.s - g.a.pad_w >= g.w;
    if (!covered) zero_floats(plane.dx, g.h * g.w * chunk_size);
    const VM all = vm_first(vf_width);
    for (int64_t p = 0; p < g.p; ++p)
        for (int64_t q = 0; q < g.q; ++q) {
            const int64_t top = p * g.a.stride_h - g.a.pad_h, left = q * g.a.stride_w - g.a.pad_w;
            const Taps rows = taps_inside(top, g.a.r, g.h), columns = taps_inside(left, g.a.s, g.w);
            for (int k = 0; k < chunk_parts; ++k) {
                const int64_t at = (p * g.q + q) * chunk_size + k * vf_width;
                const VF d = gradient_at(plane, at, all);
                const Places places = load_places(plane.index + at, vf_width);
                for (int64_t i = rows.begin; i < rows.end; ++i)
                    for (int64_t j = columns.begin; j < columns.end; ++j) {
                        float* dx = plane.dx + ((top + i) * g.w + left + j) * chunk_size + k * vf_width;
                        const VF mine = only_at(places, static_cast<int>(i * g.a.s + j), d);
                        vf_store(dx, overlaps ? vf_load(dx) + mine : mine);
                    }
            }
        }
}

// Of 3x3 windows at stride 2 and padding 1, two rows of windows cover an odd row of the image and one an even row, and
// columns likewise: each element of dx is the sum of its one, two or four windows, in ascending order, and written once.
bool is_3x3_by_2(const PoolGeometry& g) {
    const auto is = [](int64_t size, int64_t stride, int64_t pad, int64_t extent, int64_t pooled) {
        return size == 3 && stride == 2 && pad == 1 && pooled == (extent - 1) / 2 + 1;
    };
    return is(g.a.r, g.a.stride_h, g.a.pad_h, g.h, g.p) && is(g.a.s, g.a.stride_w, g.a.pad_w, g.w, g.q);
}

// What an element of dy gives to the three columns of one row of its window.
struct Given {
    VF left, middle, right;
};
XB_INLINE Given given_by(const GradPlane& plane, int64_t at, int place) {
    const VF d = gradient_at(plane, at, vm_first(vf_width));
    const Places places = load_places(plane.index + at, vf_width);
    return Given{only_at(places, place, d), only_at(places, place + 1, d), only_at(places, place + 2, d)};
}

// A row of dx from `windows` rows of windows: the first at `above`, of which it is row `place` / 3, the second below it.
template <int windows, bool past>
void grad_row_3x3(const PoolGeometry& g, const GradPlane& plane, int64_t above, int place, float* dx) {
    const int64_t below = above + g.q * chunk_size;  // whose row 0 this is
    const Given none{vf_zero(), vf_zero(), vf_zero()};
    Given one[chunk_parts], two[chunk_parts];
    const auto load = [&](int64_t q) {
        for (int k = 0; k < chunk_parts; ++k) {
            const int64_t at = q * chunk_size + k * vf_width;
            const bool there = q < g.q;
            one[k] = there ? given_by(plane, above + at, place) : none;
            if (windows == 2) two[k] = there ? given_by(plane, below + at, 0) : none;
        }
    };
    load(0);
    for (int64_t q = 0; q < g.q; ++q) {
        float* to = dx + 2 * q * chunk_size;
        for (int k = 0; k < chunk_parts; ++k)
            vf_write<past>(to + k * vf_width, windows == 2 ? one[k].middle + two[k].middle : one[k].middle);
        if (2 * q + 1 == g.w) break;
        VF right[chunk_parts], right_below[chunk_parts];
        for (int k = 0; k < chunk_parts; ++k) {
            right[k] = one[k].right;
            if (windows == 2) right_below[k] = two[k].right;
        }
        load(q + 1);
        for (int k = 0; k < chunk_parts; ++k)
            vf_write<past>(to + chunk_size + k * vf_width,
                           windows == 2 ? right[k] + one[k].left + right_below[k] + two[k].left : right[k] + one[k].left);
    }
}

template <bool past>
void grad_blocked_3x3(const PoolGeometry& g, const GradPlane& plane) {
    const int64_t row = g.q * chunk_size;
    for (int64_t h = 0; h < g.h; ++h) {
        float* dx = plane.dx + h * g.w * chunk_size;
        if (h % 2 == 0)
            grad_row_3x3<1, past>(g, plane, h / 2 * row, 3, dx);
        else if (h / 2 + 1 < g.p)
            grad_row_3x3<2, past>(g, plane, h / 2 * row, 6, dx);
        else
            grad_row_3x3<1, past>(g, plane, h / 2 * row, 6, dx);
    }
}

// The same for 2x2 windows at stride 2; odd sizes leave a rim that no window covers.
template <bool past>
void grad_blocked_2x2(const PoolGeometry& g, const GradPlane& plane) {
    const int64_t row = g.w * chunk_size, covered = 2 * g.q * chunk_size;
    const VM all = vm_first(vf_width);
    send_back_2x2(
        g.p, g.q, plane.index, [&](int64_t at, int) { return gradient_at(plane, at, all); },
        [&](int64_t h, int64_t w, int k, VF d) { vf_write<past>(plane.dx + h * row + w * chunk_size + k * vf_width, d); });
    for (int64_t h = 0; h < 2 * g.p; ++h) zero_floats(plane.dx + h * row + covered, row - covered);
    zero_floats(plane.dx + 2 * g.p * row, (g.h - 2 * g.p) * row);
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
