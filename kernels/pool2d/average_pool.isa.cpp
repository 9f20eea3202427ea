// Average pooling over windows ("window") and over whole images ("plane"), and their gradients, f32, plain and nchw16c. A
// window's sum is taken in f32 in the order of its elements; an image's in f32 over 512 floats and from there in double.
// Bound by memory; threads share (image, channel group). Whole images 43 GB/s and their gradient 69 GB/s at 8x64x112x112
// (one core of an AMD EPYC 9005, AVX-512; memcpy moves 47 GB/s).
#include "kernels/pool2d/window.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows average_pool_rows();
namespace {

const float* floats(const KernelTensor& t) { return static_cast<const float*>(t.data); }

// ---- windows ----

XB_INLINE float share_of_window(const PoolGeometry& g, const Taps& rows, const Taps& columns) {
    const int64_t real = (rows.end - rows.begin) * (columns.end - columns.begin);
    return 1.0f / static_cast<float>(g.a.count_include_pad ? g.a.r * g.a.s : real);
}

void average_plain(const PoolGeometry& g, const float* x, float* y) {
    for (int64_t p = 0; p < g.p; ++p, y += g.q) {
        const int64_t top = p * g.a.stride_h - g.a.pad_h;
        const Taps rows = taps_inside(top, g.a.r, g.h);
        for (int64_t q = 0; q < g.q; q += vf_width) {
            const int count = clamp_lane(g.q - q, vf_width);
            VF sum = vf_zero(), real = vf_zero();
            for (int64_t i = rows.begin; i < rows.end; ++i)
                for (int64_t j = 0; j < g.a.s; ++j) {
                    const Lanes lanes =
                        load_lanes(x + (top + i) * g.w, q * g.a.stride_w - g.a.pad_w + j, g.a.stride_w, g.w, count);
                    sum = sum + lanes.value;  // +0 in the padding
                    real = real + vf_select(lanes.inside, vf_set1(1), vf_zero());
                }
            const VF divisor = g.a.count_include_pad ? vf_set1(static_cast<float>(g.a.r * g.a.s)) : real;
            vf_store(y + q, sum / divisor, vm_first(count));
        }
    }
}

void average_blocked(const PoolGeometry& g, const float* x, float* y) {
    for (int64_t p = 0; p < g.p; ++p)
        for (int64_t q = 0; q < g.q; ++q, y += chunk_size) {
            const int64_t top = p * g.a.stride_h - g.a.pad_h, left = q * g.a.stride_w - g.a.pad_w;
            const Taps rows = taps_inside(top, g.a.r, g.h), columns = taps_inside(left, g.a.s, g.w);
            Chunk sum = chunk_set1(0);
            for (int64_t i = rows.begin; i < rows.end; ++i)
                for (int64_t j = columns.begin; j < columns.end; ++j)
                    sum = sum + chunk_load(x + ((top + i) * g.w + left + j) * chunk_size);
            chunk_store(y, sum * chunk_set1(share_of_window(g, rows, columns)));
        }
}

void run_average(const KernelArgs& args, const Team& team) noexcept {
    const PoolGeometry g = pool_geometry(args, args.in[0], args.out[0]);
    const float* x = floats(args.in[0]);
    auto* y = static_cast<float*>(args.out[0].data);
    for_each_pool_plane(g, team, [&](int64_t, int64_t image, int64_t pooled) {
        g.planes.blocked ? average_blocked(g, x + image, y + pooled) : average_plain(g, x + image, y + pooled);
    });
}

// Each window adds its share to what it covers.
void run_average_grad(const KernelArgs& args, const Team& team) noexcept {
    const PoolGeometry g = pool_geometry(args, args.out[0], args.in[0]);
    const float* dy = floats(args.in[0]);
    auto* dx = static_cast<float*>(args.out[0].data);
    for_each_pool_plane(g, team, [&](int64_t, int64_t image, int64_t pooled) {
        zero_floats(dx + image, g.image_floats());
        for (int64_t p = 0; p < g.p; ++p)
            for (int64_t q = 0; q < g.q; ++q) {
                const int64_t top = p * g.a.stride_h - g.a.pad_h, left = q * g.a.stride_w - g.a.pad_w;
                const Taps rows = taps_inside(top, g.a.r, g.h), columns = taps_inside(left, g.a.s, g.w);
                const float part = share_of_window(g, rows, columns);
                for (int64_t i = rows.begin; i < rows.end; ++i)
                    for (int64_t j = columns.begin; j < columns.end; ++j) {
                        const int64_t from = p * g.q + q, to = (top + i) * g.w + left + j;
                        if (!g.planes.blocked) {
                            dx[image + to] += dy[pooled + from] * part;
                            continue;
                        }
                        float* at = dx + image + to * chunk_size;
                        chunk_store(
                            at, chunk_fma(chunk_load(dy + pooled + from * chunk_size), chunk_set1(part), chunk_load(at)));
                    }
            }
    });
}

// ---- whole images ----

enum { run_chunks = 32 };

// Sums of a plane's lanes: 16 pixels' when plain, 16 channels' when blocked.
XB_INLINE void lane_sums(const float* x, int64_t count, bool far, double* sums) {
    const int64_t whole = count / chunk_size;
    for (int64_t start = 0; start < whole; start += run_chunks) {
        const int64_t end = start + run_chunks < whole ? start + run_chunks : whole;
        Chunk even = chunk_set1(0), odd = chunk_set1(0);
        int64_t i = start;
        for (; i + 2 <= end; i += 2) {
            if (far) fetch_ahead(x + i * chunk_size), fetch_ahead(x + (i + 1) * chunk_size);
            even = even + chunk_load(x + i * chunk_size);
            odd = odd + chunk_load(x + (i + 1) * chunk_size);
        }
        if (i < end) even = even + chunk_load(x + i * chunk_size);
        chunk_add_to(sums, even + odd);
    }
    if (whole * chunk_size < count) chunk_add_to(sums, chunk_load(x + whole * chunk_size, count - whole * chunk_size));
}

void run_global(const KernelArgs& args, const Team& team) noexcept {
    const Planes planes = planes_of(args.in[0]);
    const float* x = floats(args.in[0]);
    auto* y = static_cast<float*>(args.out[0].data);
    const double inverse = 1.0 / static_cast<double>(planes.pixels);
    const Share share = share_of(planes.images * planes.groups, team);
    for (int64_t task = share.begin; task < share.end; ++task) {
        double sums[chunk_size] = {};
        lane_sums(x + task * planes.plane_floats(), planes.plane_floats(), beyond_caches(planes), sums);
        if (!planes.blocked) {
            y[task] = static_cast<float>(sum_of_lanes(sums) * inverse);
            continue;
        }
        const int64_t n = task / planes.groups, group = task % planes.groups;
        for (int64_t i = 0; i < channels_of_group(planes, group); ++i)
            y[n * planes.channels + group * chunk_size + i] = static_cast<float>(sums[i] * inverse);
    }
}

void run_global_grad(const KernelArgs& args, const Team& team) noexcept {
    const Planes planes = planes_of(args.out[0]);
    const float* dy = floats(args.in[0]);
    auto* dx = static_cast<float*>(args.out[0].data);
    const Chunk inverse = chunk_set1(1.0f / static_cast<float>(planes.pixels));
    const bool past = goes_past_caches(dx, planes);
    const Share share = share_of(planes.images * planes.groups, team);
    for (int64_t task = share.begin; task < share.end; ++task) {
        const int64_t n = task / planes.groups, group = task % planes.groups, count = planes.plane_floats();
        const Chunk value = channel_chunk(planes, group, dy + n * planes.channels) * inverse;
        float* plane = dx + task * count;
        if (past)
            for (int64_t i = 0; i < count; i += chunk_size) chunk_write<true>(plane + i, value);
        else
            for (int64_t i = 0; i < count; i += chunk_size) chunk_store(plane + i, value, count - i);
    }
    if (past) end_of_streams();
}

// The image is f32 in either layout, the row {n,c} is plain.
Support global_supports(const Problem& p) {
    const KernelTensor &image = p.in[0].rank == 4 ? p.in[0] : p.out[0], &row = p.in[0].rank == 4 ? p.out[0] : p.in[0];
    if (image.rank != 4) return refused("dimensions");
    return both(dense_f32(row, Layout::plain), dense_f32(image, image.layout));
}

const Kernel rows[] = {
    {OpKind::avg_pool2d, "window", this_isa, pool_supports, nullptr, run_average},
    {OpKind::avg_pool2d_grad, "window", this_isa, pool_supports, nullptr, run_average_grad},
    {OpKind::global_avg_pool, "plane", this_isa, global_supports, nullptr, run_global},
    {OpKind::global_avg_pool_grad, "plane", this_isa, global_supports, nullptr, run_global_grad},
};

}  // namespace

KernelRows average_pool_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
