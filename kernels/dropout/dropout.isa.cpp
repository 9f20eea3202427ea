// "philox": dropout and its gradient, f32, plain and nchw16c. No mask is stored: both passes make the bits again, a vector
// of counters at a time. Rows of features and plain images take 4 elements of each counter in their order in memory; blocked
// images take 4 pixels of each channel. Bound by the integer multiplications of Philox (10 rounds for 4 elements):
// 0.55 ns an element, in cache or not, on one core of an AMD EPYC 9005 with AVX-512.
#include "kernels/dropout/dropout_bits.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows dropout_rows();
namespace {

struct DropoutJob {
    const float* x;
    float* y;
    DropoutBits bits;
};

XB_INLINE VM lanes_left(int64_t left) {
    return vm_first(static_cast<int>(left < 0 ? 0 : left < vf_width ? left : vf_width));
}

// Pieces of 4 vectors of an image's elements, shared by the threads.
void drop_plain(const DropoutJob& job, const Planes& planes, const Team& team) {
    const int64_t elements = planes.channels * planes.pixels, pieces = div_up(elements, 4 * vf_width);
    const Share share = share_of(planes.images * pieces, team);
    for (int64_t task = share.begin; task < share.end; ++task) {
        const int64_t n = task / pieces, first = task % pieces * 4 * vf_width;
        VF u[4];
        uniforms_in_order(job.bits.key(n), static_cast<uint32_t>(first / 4), job.bits.stream, u);
        if (first + 4 * vf_width <= elements) {
            const int64_t at = n * elements + first;
            for (int j = 0; j < 4; ++j)
                vf_store(job.y + at + j * vf_width, job.bits.keep(u[j], vf_load(job.x + at + j * vf_width)));
            continue;
        }
        for (int j = 0; j < 4; ++j) {
            const int64_t e = first + j * vf_width;
            const VM lanes = lanes_left(elements - e);
            vf_store(job.y + n * elements + e, job.bits.keep(u[j], vf_load(job.x + n * elements + e, lanes)), lanes);
        }
    }
}

void drop_blocked(const DropoutJob& job, const Planes& planes, const Team& team) {
    const Share share = share_of(planes.images * planes.groups * chunk_parts, team);
    for (int64_t task = share.begin; task < share.end; ++task) {
        const int64_t plane = task / chunk_parts, lane = task % chunk_parts * vf_width;
        const int64_t n = plane / planes.groups, channel = plane % planes.groups * chunk_size + lane;
        const int64_t at = plane * planes.plane_floats() + lane;
        for_channel_pixels(
            job.bits.key(n), job.bits.stream, channel, planes.pixels, 0, planes.pixels, [&](int64_t pixel, VF u) {
                vf_store(job.y + at + pixel * chunk_size, job.bits.keep(u, vf_load(job.x + at + pixel * chunk_size)));
            });
    }
}

// Whole channels: dropout2d.
void drop_whole_channels(const DropoutJob& job, const Planes& planes, const Team& team) {
    const Share share = share_of(planes.images * planes.groups, team);
    for (int64_t task = share.begin; task < share.end; ++task) {
        const int64_t n = task / planes.groups, group = task % planes.groups, count = planes.plane_floats();
        float u[chunk_size];
        const int64_t first = planes.blocked ? group * chunk_size : group;
        for (int64_t i = 0; i < chunk_size; ++i) {
            const auto c = static_cast<uint64_t>(planes.blocked ? first + i : first);
            u[i] = uniform01(philox4x32(job.bits.key(n), c / 4, job.bits.stream).v[c % 4]);
        }
        const Chunk uniform = chunk_load(u);
        const float* x = job.x + task * count;
        float* y = job.y + task * count;
        for (int64_t i = 0; i < count; i += chunk_size) {
            Chunk value = chunk_load(x + i, count - i);
            for (int k = 0; k < chunk_parts; ++k) value.part[k] = job.bits.keep(uniform.part[k], value.part[k]);
            chunk_store(y + i, value, count - i);
        }
    }
}

void run(const KernelArgs& args, const Team& team) noexcept {
    const auto& a = *static_cast<const Dropout*>(args.attrs);
    const DropoutJob job{static_cast<const float*>(args.in[0].data), static_cast<float*>(args.out[0].data),
                         dropout_bits(a, *args.step)};
    const Planes planes = planes_of(args.in[0]);
    if (a.per_channel)
        drop_whole_channels(job, planes, team);
    else if (planes.blocked)
        drop_blocked(job, planes, team);
    else
        drop_plain(job, planes, team);
}

Support supports(const Problem& p) {
    const Planes planes = planes_of(p.in[0]);
    if (!has_narrow_counters(planes.channels, planes.pixels)) return refused("images so large");
    return both(dense_f32(p.in[0], p.in[0].layout), dense_f32(p.out[0], p.in[0].layout));
}

const Kernel rows[] = {
    {OpKind::dropout, "philox", this_isa, supports, nullptr, run},
    {OpKind::dropout_grad, "philox", this_isa, supports, nullptr, run},
};

}  // namespace

KernelRows dropout_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
