// "transpose": reorder between plain and nchw16c, and flatten of nchw16c to rows of features and back (the logical order of
// an image's elements is the plain one, so flatten is the same movement). Square tiles of one vector by one vector are
// turned in registers: log2(width) perfect shuffles. Bound by memory; threads share (image, channel group).
// 44 GB/s to plain and 18 GB/s to blocked (16 input streams) at 8x64x112x112 on one core of an AMD EPYC 9005, AVX-512.
#include "kernels/simd/chunk.h"
#include "kernels/simd/plain_blocked.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows reorder_rows();
namespace {

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
            to_blocked(in + plain_image, planes.pixels, out + blocked, channels, planes.pixels);
        else
            to_plain(in + blocked, out + plain_image, planes.pixels, channels, planes.pixels);
    }
}

Support supports(const Problem& p) {
    if (is_blocked(p.in[0]) == is_blocked(p.out[0])) return refused("layout");
    return both(dense_f32(p.in[0], p.in[0].layout), dense_f32(p.out[0], p.out[0].layout));
}

const Kernel rows[] = {
    {OpKind::reorder, "transpose", this_isa, supports, nullptr, run},
    {OpKind::flatten, "transpose", this_isa, supports, nullptr, run},
};

}  // namespace

KernelRows reorder_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
