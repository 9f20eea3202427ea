// Windows over images, shared by the pooling kernels: geometry, and the load of one filter position for a vector of outputs.
#pragma once

#include "kernels/dropout/dropout_bits.h"
#include "kernels/simd/chunk.h"
#include "kernels/simd/simd_pool.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {

struct PoolGeometry {
    Pool2d a;
    int64_t h, w, p, q;  // image and pooled image
    Planes planes;
    int64_t image_floats() const { return h * w * (planes.blocked ? chunk_size : 1); }
    int64_t pooled_floats() const { return p * q * (planes.blocked ? chunk_size : 1); }
    bool is_2x2() const {
        return a.r == 2 && a.s == 2 && a.stride_h == 2 && a.stride_w == 2 && a.pad_h == 0 && a.pad_w == 0;
    }
    bool overlaps() const { return a.stride_h < a.r || a.stride_w < a.s; }
};

XB_INLINE PoolGeometry pool_geometry(const Problem& args, const KernelTensor& image, const KernelTensor& pooled) {
    return PoolGeometry{
        *static_cast<const Pool2d*>(args.attrs), image.dim[2], image.dim[3], pooled.dim[2], pooled.dim[3], planes_of(image)};
}

// The part of 0 .. size-1 of a filter that lies inside the image when its first position is at `start`.
struct Taps {
    int64_t begin, end;
};
XB_INLINE Taps taps_inside(int64_t start, int64_t size, int64_t extent) {
    return Taps{start < 0 ? -start : 0, start + size > extent ? extent - start : size};
}

// What output columns q .. q+count-1 see at one filter position: lane i is row[first + i * step]; `inside` leaves out
// padding.
struct Lanes {
    VF value;
    VM inside;
};

XB_INLINE int clamp_lane(int64_t lane, int64_t most) { return static_cast<int>(lane < 0 ? 0 : lane > most ? most : lane); }

XB_INLINE Lanes load_lanes(const float* row, int64_t first, int64_t step, int64_t width, int count) {
    const int lo = clamp_lane(first < 0 ? div_up(-first, step) : 0, count);
    const int hi = clamp_lane(first < width ? div_up(width - first, step) : 0, count);
    const VM inside = vm_range(lo, hi);
    if (step == 1) return Lanes{vf_load(row + first, inside), inside};
    if (step != 2) return Lanes{vf_load_strided(row + first, step, lo, hi), inside};
    const int begin = clamp_lane(-first, 2 * vf_width), end = clamp_lane(width - first, 2 * count);
    const VF low = vf_load(row + first, vm_range(clamp_lane(begin, vf_width), clamp_lane(end, vf_width)));
    const VF high = vf_load(row + first + vf_width,
                            vm_range(clamp_lane(begin - vf_width, vf_width), clamp_lane(end - vf_width, vf_width)));
    return Lanes{vf_even(low, high), inside};
}

XB_INLINE void zero_floats(float* p, int64_t count) { __builtin_memset(p, 0, static_cast<size_t>(count) * sizeof(float)); }

// Calls body(image and channel group, offset of the image's plane, offset of the pooled plane) for this thread's planes.
template <class Body>
XB_INLINE void for_each_pool_plane(const PoolGeometry& g, const Team& team, Body&& body) {
    const Share share = share_of(g.planes.images * g.planes.groups, team);
    for (int64_t task = share.begin; task < share.end; ++task) body(task, task * g.image_floats(), task * g.pooled_floats());
}

// All images in f32 (an index in u8) and one layout; a dropout behind 2x2 windows only.
XB_INLINE Support pool_supports(const Problem& p) {
    const PoolGeometry g = pool_geometry(p, p.in[0], p.in[0]);
    if (g.a.dropout.p > 0 && !g.is_2x2()) return refused("dropout behind such windows");
    if (g.a.dropout.p > 0 && !has_narrow_counters(g.planes.channels, g.planes.pixels))
        return refused("dropout of images so large");
    const auto fits = [&](const KernelTensor& t) {
        if (t.rank == 0 || (t.dtype == DType::u8 && t.layout == p.in[0].layout)) return supported;
        return dense_f32(t, p.in[0].layout);
    };
    for (int32_t i = 0; i < p.n_in; ++i)
        if (const Support operand = fits(p.in[i]); !operand) return operand;
    for (int32_t i = 0; i < p.n_out; ++i)
        if (const Support operand = fits(p.out[i]); !operand) return operand;
    return supported;
}

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
