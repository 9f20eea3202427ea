// "direct_blocked": a convolution of nchw16c outputs with the pass that follows it, by the tiles of
// direct_blocked_forward.h, or those of stem_forward.h; the row that was just stored is still in the first-level cache.
//   conv2d_statistics   sums of y - K and (y - K)^2 of each channel (channel_sums.h), in bands of stat_band rows; a band's
//                       sums go to the workspace, {images, bands, blocks of 16 channels}
//   conv2d_pool         two rows of y into the thread's workspace, from there the maximum of each 2x2 window and its place:
//                       y itself, the largest tensor of a first layer, is never written
// Bound as the convolution alone. Measured on one core of an EPYC of family 25, AVX-512, in whole steps: 1->16 @128 with
// pooling, batch 32, 2.9 ms (4.8 apart); 3->32 @224 with sums, batch 16, 17.8 ms (20.1 apart); sums of outputs that fit the
// third-level cache cost as much as apart. Writing past the caches was slower. Threads share (image, 32 channels, band).
#include "kernels/batchnorm/channel_sums.h"
#include "kernels/conv2d/direct/direct_bands.h"
#include "kernels/conv2d/stem/stem_forward.h"
#include "kernels/dropout/dropout_bits.h"
#include "kernels/simd/rounded.h"
#include "kernels/simd/simd_pool.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows direct_blocked_fused_rows();
namespace {

constexpr int32_t stat_band = 8, pool_band = 4;  // rows of y, pooled rows
// Whole blocks of channels, in one group of direct_tile or more.
constexpr int task_width = panel_width > block ? panel_width : block, task_blocks = task_width / block;

const Conv2d& conv_of(const Problem& p) {
    return p.op == OpKind::conv2d_pool ? static_cast<const Conv2dPool*>(p.attrs)->conv
                                       : *static_cast<const Conv2d*>(p.attrs);
}

// A band of rows of some blocks of channels of an image.
struct BandTask {
    int64_t n, first_block, blocks, band;
};

XB_INLINE BandTask band_task(const DirectJob& job, int64_t bands, int64_t index) {
    const int64_t all = div_up(job.out.c, block), parts = div_up(all, task_blocks);
    const int64_t first = index / bands % parts * task_blocks, left = all - first;
    return {index / bands / parts, first, left < task_blocks ? left : int64_t{task_blocks}, index % bands};
}
int64_t task_count(const DirectJob& job, int64_t bands) {
    return job.in.n * div_up(div_up(job.out.c, block), task_blocks) * bands;
}

// How rows are computed: by the one kind of tile or the other.
struct RowPlan {
    bool stem;
    DirectCuts direct;
    StemForwardJob stem_job;
    StemCuts stem_cuts;
};

// Row i of the task's channels; `out_image` is where channel 0, row 0 of the image would be.
XB_INLINE void convolve_row(const DirectJob& job, const RowPlan& plan, const BandTask& task, int32_t i, float* out_image) {
    if (plan.stem)
        return stem_forward_row(plan.stem_job, plan.stem_cuts, task.n, i, task.first_block * block,
                                (task.first_block + task.blocks) * block,
                                out_image + (job.rows.out_first + i) * job.out.row);
    const int64_t group_size = job.in.c * job.rows.taps * job.columns.taps * panel_width;
    const float* image = job.in.data + task.n * job.in.image;
    const int32_t outs = job.columns.outputs;
    const int64_t end = (task.first_block + task.blocks) * block;
    for (int64_t channel = task.first_block * block; channel < end; channel += panel_width) {
        const RowCut<DirectTile>& cut = plan.direct.at(panel_vectors_at(channel, job.out.c));
        for (int32_t k = 0; k < cut.tiles; ++k) {
            const int32_t j = outs * k / cut.tiles, pixels = outs * (k + 1) / cut.tiles - j;
            cut.tile[cut.wide - pixels](
                job, {image, out_image, job.weights + channel / panel_width * group_size, channel, 0, job.in.c, i, j});
        }
    }
}

// The workspace begins with the padded bias and the packed filters, and each thread's copy of a stem's rows.
int64_t filter_floats(const Problem& p) {
    const int64_t outs = p.in[1].dim[0], ins = p.in[0].dim[1], taps = p.in[1].dim[2] * p.in[1].dim[3];
    return div_up(padded_bias_size(outs) + packed_size(outs, ins, taps), block) * block;
}
int64_t row_copy_floats(const Problem& p) { return is_stem(p) ? stem_copy_floats(p.in[0], conv_of(p)) : 0; }
int64_t shared_floats(const Problem& p, int threads) { return filter_floats(p) + threads * row_copy_floats(p); }

// Packs the filters for outputs of this height and width; ends with a barrier.
DirectJob packed_job(const KernelArgs& args, int64_t height, int64_t width, const Team& team) {
    const Conv2d& conv = conv_of(args);
    float* bias = static_cast<float*>(args.workspace);
    float* weights = bias + padded_bias_size(args.in[1].dim[0]);
    DirectJob job = {
        blocks_of(args.in[0]), blocks_of(args.out[0]), {}, {}, weights, bias, conv.activation == Activation::relu};
    job.rows = forward_axis(conv.r, conv.stride_h, conv.pad_h, conv.dilation_h, job.in.h, height);
    job.columns = forward_axis(conv.s, conv.stride_w, conv.pad_w, conv.dilation_w, job.in.w, width);
    const float* given = has_operand(args.in, args.n_in, 2) ? static_cast<const float*>(args.in[2].data) : nullptr;
    for (int64_t k = 0; team.rank == 0 && k < padded_bias_size(job.out.c); ++k)
        bias[k] = given && k < job.out.c ? given[k] : 0.0f;
    pack_filters(forward_filters(args.in[1]), job.rows, job.columns, job.in.width, weights, team);
    team.barrier();
    return job;
}

// When the job's rows of outputs lie where they will.
RowPlan row_plan(const KernelArgs& args, const DirectJob& job, const Team& team) {
    RowPlan plan{is_stem(args), {}, {}, {}};
    if (!plan.stem) {
        plan.direct = direct_cuts(job);
        return plan;
    }
    float* const copy = static_cast<float*>(args.workspace) + filter_floats(args) + team.rank * row_copy_floats(args);
    plan.stem_job = {job.in, job.out, job.rows, job.columns, job.weights, job.bias, job.relu, copy, 0, {}};
    set_stem_offsets(plan.stem_job);
    plan.stem_cuts = stem_cuts(job.columns);
    return plan;
}

// ---- conv2d_statistics ----

int64_t stat_bands(const Problem& p) { return div_up(p.out[0].dim[2], stat_band); }

size_t statistics_workspace(const Problem& p, int threads) {
    const int64_t sums = p.out[0].dim[0] * stat_bands(p) * div_up(p.out[0].dim[1], block);
    return static_cast<size_t>(shared_floats(p, threads)) * sizeof(float) + static_cast<size_t>(sums) * sizeof(SumPair);
}

void run_statistics(const KernelArgs& args, const Team& team) noexcept {
    const DirectJob job = packed_job(args, args.out[0].dim[2], args.out[0].dim[3], team);
    const RowPlan plan = row_plan(args, job, team);
    const Planes planes = planes_of(args.out[0]);
    const auto* mean = static_cast<const float*>(args.in[3].data);
    auto* partial = reinterpret_cast<SumPair*>(static_cast<float*>(args.workspace) + shared_floats(args, team.size));
    const int64_t bands = stat_bands(args);
    const Share share = share_of(task_count(job, bands), team);
    for (int64_t index = share.begin; index < share.end; ++index) {
        const BandTask task = band_task(job, bands, index);
        float* image = job.out.data + task.n * job.out.image;
        SumPair* sums = partial + (task.n * bands + task.band) * planes.groups + task.first_block;
        for (int64_t b = 0; b < task.blocks; ++b) sums[b] = SumPair{};
        const int32_t i0 = static_cast<int32_t>(task.band) * stat_band;
        const int32_t i1 = i0 + stat_band < job.rows.outputs ? i0 + stat_band : job.rows.outputs;
        for (int32_t i = i0; i < i1; ++i) {
            convolve_row(job, plan, task, i, image);
            for (int64_t b = 0; b < task.blocks; ++b)
                add_shifted(sums[b], image + (task.first_block + b) * job.out.plane + i * job.out.row, job.out.row,
                            channel_chunk(planes, task.first_block + b, mean));
        }
    }
    team.barrier();
    add_bands(planes, *args.step, {job.out.data, mean}, bands, partial, static_cast<double*>(args.out[1].data), team);
}

// ---- conv2d_pool ----

int64_t output_width(const Problem& p) {
    const Conv2d& conv = conv_of(p);
    return (p.in[0].dim[3] + 2 * conv.pad_w - conv.dilation_w * (conv.s - 1) - 1) / conv.stride_w + 1;
}
int64_t mask_floats(const Problem& p) {
    return row_mask_floats(static_cast<const Conv2dPool*>(p.attrs)->dropout, true, p.out[0].dim[3]);
}
int64_t scratch_floats(const Problem& p) { return task_blocks * 2 * output_width(p) * block + mask_floats(p); }

size_t pool_workspace(const Problem& p, int threads) {
    return static_cast<size_t>(shared_floats(p, threads) + threads * scratch_floats(p)) * sizeof(float);
}

// The maximum of 2x2 windows and its place, or what stands for a closed ReLU or a dropped element; u: numbers of the
// dropout, where it drops.
template <bool drops>
static void pool_rows(const float* top, const float* bottom, int64_t q_end, const Chunk& closed, bool relu,
                      const DropoutBits& dropout, const float* u, float* y, uint8_t* index) {
    for (int64_t q = 0; q < q_end; ++q)
        for (int k = 0; k < chunk_parts; ++k) {
            const int64_t from = 2 * q * block + k * vf_width, to = q * block + k * vf_width;
            const VF a = vf_load(top + from), b = vf_load(top + from + block);
            const VF c = vf_load(bottom + from), d = vf_load(bottom + from + block);
            const VM right = vm_beats(b, a), right_below = vm_beats(d, c);
            const VF above = vf_select(right, b, a), below = vf_select(right_below, d, c);
            const VM lower = vm_beats(below, above);
            VF best = vf_select(lower, below, above);
            VF place =
                vf_select(lower, vf_select(right_below, vf_set1(3), vf_set1(2)), vf_select(right, vf_set1(1), vf_zero()));
            if (relu) place = vf_select(vm_greater(best, vf_zero()), place, closed.part[k]);
            if constexpr (drops) {
                const VF number = vf_load(u + to);
                place = vf_select(dropout.dropped(number), closed.part[k], place);
                best = dropout.keep(number, best);
            }
            vf_store(y + to, best);
            if (index) store_bytes(index + to, place, vf_width);
        }
}

struct PoolJob {
    float* scratch;  // {blocks of a task}{2 rows}{columns}{16}, of this thread
    float* y;
    uint8_t* index;  // or null
    int64_t p, q, blocks;
    RowMask mask;
};

// Pooled row p of the task's channels.
void pooled_row(DirectJob& job, const RowPlan& plan, PoolJob& pool, const BandTask& task, int64_t p) {
    job.rows.out_first = static_cast<int32_t>(-2 * p);
    for (int i = 0; i < 2; ++i)
        convolve_row(job, plan, task, static_cast<int32_t>(2 * p + i), pool.scratch - task.first_block * job.out.plane);
    for (int64_t b = 0; b < task.blocks; ++b) {
        const int64_t channel = (task.first_block + b) * block;
        const Chunk closed = real_lanes(job.out.c - channel, closed_window);  // padding channels have index 0
        const int64_t to = ((task.n * pool.blocks + task.first_block + b) * pool.p + p) * pool.q * block;
        const float* top = pool.scratch + b * job.out.plane;
        const float* u = row_numbers(pool.mask, task.n, task.first_block + b, p);
        (u ? pool_rows<true> : pool_rows<false>)(top, top + job.out.row, pool.q, closed, job.relu, pool.mask.bits, u,
                                                 pool.y + to, pool.index ? pool.index + to : nullptr);
    }
}

void run_pool(const KernelArgs& args, const Team& team) noexcept {
    const KernelTensor& y = args.out[0];
    DirectJob job = packed_job(args, 2 * y.dim[2], output_width(args), team);  // a row that no window covers is left out
    job.out.row = output_width(args) * block, job.out.plane = 2 * job.out.row;
    const RowPlan plan = row_plan(args, job, team);
    float* mine = static_cast<float*>(args.workspace) + shared_floats(args, team.size) + team.rank * scratch_floats(args);
    const Dropout& dropout = static_cast<const Conv2dPool*>(args.attrs)->dropout;
    PoolJob pool{mine + mask_floats(args),
                 static_cast<float*>(y.data),
                 nullptr,
                 y.dim[2],
                 y.dim[3],
                 div_up(y.dim[1], block),
                 row_mask(dropout, *args.step, true, y.dim[2], y.dim[3], mine)};
    if (has_operand(args.out, args.n_out, 1)) pool.index = static_cast<uint8_t*>(args.out[1].data);
    const int64_t bands = div_up(pool.p, pool_band);
    const Share share = share_of(task_count(job, bands), team);
    for (int64_t at = share.begin; at < share.end; ++at) {
        const BandTask task = band_task(job, bands, at);
        const int64_t p0 = task.band * pool_band, p1 = p0 + pool_band < pool.p ? p0 + pool_band : pool.p;
        for (int64_t p = p0; p < p1; ++p) pooled_row(job, plan, pool, task, p);
    }
}

Support supports(const Problem& p) {
    const Conv2d& conv = conv_of(p);
    const KernelTensor& x = p.in[0];
    if (conv.groups != 1) return refused("groups");
    if (conv.r > max_taps || conv.s > max_taps) return refused("filter size");
    const bool plain_input = is_dense_f32(x, Layout::plain) && x.dim[1] <= 4;
    return both(plain_input ? supported : dense_f32(x, Layout::nchw16c), dense_f32(p.out[0], Layout::nchw16c));
}
Support pool_supports(const Problem& p) {
    const auto& a = *static_cast<const Conv2dPool*>(p.attrs);
    if (a.r != 2 || a.s != 2) return refused("window");
    if (a.dropout.p > 0 && !has_narrow_counters(p.out[0].dim[1], p.out[0].dim[2] * p.out[0].dim[3]))
        return refused("dropout of images so large");
    return supports(p);
}

const Kernel rows[] = {
    {OpKind::conv2d_statistics, "direct_blocked", this_isa, in_f32<supports>, statistics_workspace, run_statistics},
    {OpKind::conv2d_pool, "direct_blocked", this_isa, in_f32<pool_supports>, pool_workspace, run_pool},
};

}  // namespace

KernelRows direct_blocked_fused_rows() { return {rows, sizeof rows / sizeof rows[0]}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
