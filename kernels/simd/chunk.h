// 16 floats at a time, in as many vectors as they take: 16 pixels of a plain tensor or the 16 channels of one pixel of
// nchw16c. What differs between channels (a mean, a scale) is then a chunk as well - 16 equal numbers or 16 channels - and
// one loop serves both layouts. For *.isa.cpp, like kernels/simd/simd.h; everything has internal linkage.
//
//     Planes planes(x);                                   // runs of memory with the same 16 channels
//     for (task ...) { Plane p = planes.at(task); ... }   // p.offset, p.count floats, p.channel, p.channels
#pragma once

#include "kernels/simd/simd.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {

enum { chunk_size = 16, chunk_parts = chunk_size / vf_width };

struct Chunk {
    VF part[chunk_parts];
};

XB_INLINE Chunk chunk_set1(float a) {
    Chunk r;
    for (int i = 0; i < chunk_parts; ++i) r.part[i] = vf_set1(a);
    return r;
}

// The first `count` floats; the others are 0 and not read. count may be 16 or more.
XB_INLINE Chunk chunk_load(const float* p, int64_t count = chunk_size) {
    Chunk r;
    for (int i = 0; i < chunk_parts; ++i) {
        const int64_t left = count - i * vf_width;
        if (left >= vf_width)
            r.part[i] = vf_load(p + i * vf_width);
        else
            r.part[i] = left > 0 ? vf_load(p + i * vf_width, vm_first(static_cast<int>(left))) : vf_zero();
    }
    return r;
}

XB_INLINE void chunk_store(float* p, const Chunk& a, int64_t count = chunk_size) {
    for (int i = 0; i < chunk_parts; ++i) {
        const int64_t left = count - i * vf_width;
        if (left >= vf_width)
            vf_store(p + i * vf_width, a.part[i]);
        else if (left > 0)
            vf_store(p + i * vf_width, a.part[i], vm_first(static_cast<int>(left)));
    }
}

// Outputs so large that no cache keeps them until they are read again: written past the caches, they need not be read
// before. The threshold is a share of the last cache that a core seldom has for itself.
enum : int64_t { streamed_floats = (int64_t{32} << 20) / 4 };

// Whether to write a tensor of `count` floats so, in runs of whole lines.
XB_INLINE bool goes_past_caches(const float* p, int64_t count, int64_t run) {
    return count >= streamed_floats && run % chunk_size == 0 && reinterpret_cast<uintptr_t>(p) % 64 == 0;
}

// Asks for what a loop through such a tensor reads soon: the hardware looks ahead to the end of a page only.
XB_INLINE void fetch_ahead(const float* p) { __builtin_prefetch(p + 512); }

// A store, past the caches or not; end_of_streams() belongs behind the last one.
template <bool past>
XB_INLINE void vf_write(float* p, VF v) {
    past ? vf_stream(p, v) : vf_store(p, v);
}
template <bool past>
XB_INLINE void chunk_write(float* p, const Chunk& a) {
    for (int i = 0; i < chunk_parts; ++i) vf_write<past>(p + i * vf_width, a.part[i]);
}

XB_INLINE Chunk operator+(const Chunk& a, const Chunk& b) {
    Chunk r;
    for (int i = 0; i < chunk_parts; ++i) r.part[i] = a.part[i] + b.part[i];
    return r;
}
XB_INLINE Chunk operator-(const Chunk& a, const Chunk& b) {
    Chunk r;
    for (int i = 0; i < chunk_parts; ++i) r.part[i] = a.part[i] - b.part[i];
    return r;
}
XB_INLINE Chunk operator*(const Chunk& a, const Chunk& b) {
    Chunk r;
    for (int i = 0; i < chunk_parts; ++i) r.part[i] = a.part[i] * b.part[i];
    return r;
}
XB_INLINE Chunk chunk_fma(const Chunk& a, const Chunk& b, const Chunk& c) {  // a b + c
    Chunk r;
    for (int i = 0; i < chunk_parts; ++i) r.part[i] = vf_fma(a.part[i], b.part[i], c.part[i]);
    return r;
}
XB_INLINE Chunk chunk_relu(const Chunk& a) {
    Chunk r;
    for (int i = 0; i < chunk_parts; ++i) r.part[i] = vf_relu(a.part[i]);
    return r;
}
XB_INLINE Chunk chunk_where_positive(const Chunk& gate, const Chunk& a) {  // gate > 0 ? a : 0
    Chunk r;
    for (int i = 0; i < chunk_parts; ++i) r.part[i] = vf_where_positive(gate.part[i], a.part[i]);
    return r;
}

// Adds the 16 lanes to 16 doubles.
XB_INLINE void chunk_add_to(double* sums, const Chunk& a) {
    float lane[chunk_size];
    chunk_store(lane, a);
    for (int i = 0; i < chunk_size; ++i) sums[i] += static_cast<double>(lane[i]);
}

// 16 doubles as one, in a fixed order.
XB_INLINE double sum_of_lanes(const double* sums) {
    double pair[8], quad[4];
    for (int i = 0; i < 8; ++i) pair[i] = sums[i] + sums[i + 8];
    for (int i = 0; i < 4; ++i) quad[i] = pair[i] + pair[i + 4];
    return (quad[0] + quad[2]) + (quad[1] + quad[3]);
}

XB_INLINE bool is_blocked(const KernelTensor& t) { return t.layout == Layout::nchw16c; }

// The runs of a tensor {n,c,...}: a channel of an image when it is plain, 16 channels of an image when it is nchw16c.
struct Planes {
    int64_t images, channels, pixels, groups;  // groups of channels in an image: c, or ceil(c / 16)
    bool blocked;
    int64_t plane_floats() const { return blocked ? pixels * chunk_size : pixels; }
    int64_t offset(int64_t n, int64_t group) const { return (n * groups + group) * plane_floats(); }
};

XB_INLINE int64_t floats_of(const Planes& planes) { return planes.images * planes.groups * planes.plane_floats(); }
XB_INLINE bool beyond_caches(const Planes& planes) { return floats_of(planes) >= streamed_floats; }
XB_INLINE bool goes_past_caches(const float* p, const Planes& planes) {
    return goes_past_caches(p, floats_of(planes), planes.plane_floats());
}

XB_INLINE Planes planes_of(const KernelTensor& t) {
    Planes p;
    p.images = t.dim[0], p.channels = t.dim[1], p.blocked = is_blocked(t);
    p.pixels = 1;
    for (int axis = 2; axis < t.rank; ++axis) p.pixels *= t.dim[axis];
    p.groups = p.blocked ? div_up(p.channels, chunk_size) : p.channels;
    return p;
}

// How many real channels a group of nchw16c has.
XB_INLINE int64_t channels_of_group(const Planes& planes, int64_t group) {
    const int64_t left = planes.channels - group * chunk_size;
    return left < chunk_size ? left : int64_t{chunk_size};
}

// `value` in the first `count` lanes, else 0.
XB_INLINE Chunk real_lanes(int64_t count, float value) {
    float lane[chunk_size] = {};
    for (int64_t i = 0; i < count && i < chunk_size; ++i) lane[i] = value;
    return chunk_load(lane);
}

// What a group's channels have in `of_channel` {c}, lane by lane: 16 equal numbers when plain; padding lanes are 0.
XB_INLINE Chunk channel_chunk(const Planes& planes, int64_t group, const float* of_channel) {
    if (!planes.blocked) return chunk_set1(of_channel[group]);
    return chunk_load(of_channel + group * chunk_size, channels_of_group(planes, group));
}

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
