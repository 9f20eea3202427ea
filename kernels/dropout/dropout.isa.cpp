// "philox": dropout and its gradient, f32, plain and nchw16c. No mask is stored: both passes make the bits again, a vector
// of counters at a time. Rows of features and plain images take 4 elements of each counter in their order in memory; blocked
// images take 4 pixels of each channel. Bound by the integer multiplications of Philox (10 rounds for 4 elements):
// 0.55 ns an element, in cache or not, on one core of an AMD EPYC 9005 with AVX-512.
#include "kernels/chunk.h"
#include "kernels/dropout/philox_lanes.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows dropout_rows();
namespace {

struct DropoutJob {
    const float* x;
    float* y;
    float p, scale;
    uint64_t stream;
    const StepContext* step;
    uint64_t key(int64_t n) const { return step->seed ^ (static_cast<uint64_t>(step->sample_ids[n]) * 0x9E3779B97F4A7C15u); }
    VF keep(VF u, VF value) const { return vf_select(vm_greater(vf_set1(p), u), vf_zero(), value * vf_set1(scale)); }
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
        uniforms_in_order(job.key(n), static_cast<uint32_t>(first / 4), job.stream, u);
        if (first + 4 * vf_width <= elements) {
            const int64_t at = n * elements + first;
            for (int j = 0; j < 4; ++j)
                vf_store(job.y + at + j * vf_width, job.keep(u[j], vf_load(job.x + at + j * vf_width)));
            continue;
        }
        for (int j = 0; j < 4; ++j) {
            const int64_t e = first + j * vf_width;
            const VM lanes = lanes_left(elements - e);
            vf_store(job.y + n * elements + e, job.keep(u[j], vf_load(job.x + n * elements + e, lanes)), lanes);
        }
    }
}

// One vector of channels of a blocked image, whose elements are (channel * pixels + pixel). Where pixels is a multiple of 4,
// one counter of each lane serves 4 pixels; otherwise each pixel takes the word that its element asks for.
void drop_channels(const DropoutJob& job, uint64_t key, int64_t first_channel, int64_t pixels, const float* x, float* y) {
    const bool quads = pixels % 4 == 0;
    for (int64_t pixel = 0; pixel < pixels; pixel += quads ? 4 : 1) {
        uint32_t counter[vf_width];
        float word[vf_width];
        for (int lane = 0; lane < vf_width; ++lane) {
            const auto element = static_cast<uint32_t>((first_channel + lane) * pixels + pixel);
            counter[lane] = element / 4;
            word[lane] = static_cast<float>(element % 4);
        }
        const PhiloxLanes words = philox_lanes(key, vu_load(counter), job.stream);
        if (quads) {
            for (int j = 0; j < 4; ++j) {
                const int64_t at = (pixel + j) * chunk_size;
                vf_store(y + at, job.keep(uniform_lanes(words.w[j]), vf_load(x + at)));
            }
            continue;
        }
        VF u = uniform_lanes(words.w[0]);
        for (int j = 1; j < 4; ++j)
            u = vf_select(vm_greater(vf_load(word), vf_set1(static_cast<float>(j) - 0.5f)), uniform_lanes(words.w[j]), u);
        vf_store(y + pixel * chunk_size, job.keep(u, vf_load(x + pixel * chunk_size)));
    }
}

void drop_blocked(const DropoutJob& job, const Planes& planes, const Team& team) {
    const Share share = share_of(planes.images * planes.groups * chunk_parts, team);
    for (int64_t task = share.begin; task < share.end; ++task) {
        const int64_t plane = task / chunk_parts, lane = task % chunk_parts * vf_width;
        const int64_t n = plane / planes.groups, channel = plane % planes.groups * chunk_size + lane;
        const int64_t at = plane * planes.plane_floats() + lane;
        drop_channels(job, job.key(n), channel, planes.pixels, job.x + at, job.y + at);
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
            u[i] = uniform01(philox4x32(job.key(n), c / 4, job.stream).v[c % 4]);
        }
        const Chunk uniform = chunk_load(u);
        const float* x = job.x + task * count;
        float* y = job.y + task * count;
        for (int64_t i = 0; i < count; i += chunk_size) {
            Chunk value = chunk_load(x + i, count - i);
            for (int k = 0; k < chunk_parts; ++k) value.part[k] = job.keep(uniform.part[k], value.part[k]);
            chunk_store(y + i, value, count - i);
        }
    }
}

void run(const KernelArgs& args, const Team& team) noexcept {
    const auto& a = *static_cast<const Dropout*>(args.attrs);
    const DropoutJob job{static_cast<const float*>(args.in[0].data),
                         static_cast<float*>(args.out[0].data),
                         a.p,
                         1.0f / (1.0f - a.p),
                         random_stream(a.stream, args.step->step),
                         args.step};
    const Planes planes = planes_of(args.in[0]);
    if (a.per_channel)
        drop_whole_channels(job, planes, team);
    else if (planes.blocked)
        drop_blocked(job, planes, team);
    else
        drop_plain(job, planes, team);
}

// Counters are 32 bits here: an image of fewer than 2^32 elements.
bool supports(const Problem& p) {
    const Planes planes = planes_of(p.in[0]);
    const auto layout = static_cast<Layout>(p.in[0].layout);
    return is_dense_f32(p.in[0], layout) && is_dense_f32(p.out[0], layout) &&
           (planes.channels + chunk_size) * planes.pixels < int64_t{1} << 32;
}

const Kernel rows[] = {
    {OpKind::dropout, "philox", this_isa, supports, nullptr, run},
    {OpKind::dropout_grad, "philox", this_isa, supports, nullptr, run},
};

}  // namespace

KernelRows dropout_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
