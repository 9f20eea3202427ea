// "pooled_stem": the gradient of the filters of a first layer (3x3, stride 1, x plain with 1 or 3 channels) behind which a
// 2x2 max-pooling comes, alone or with batch normalisation; y and dy in nchw16c. The gradient of the convolution's output is
// made in registers, window by window, from the pooled dy and the index, and used at once: this largest tensor of the
// backward pass is neither written nor read.
// For 16 output channels all 9 or 27 positions of the filter and the bias are in registers (AVX-512; else channel by
// channel), one broadcast a multiply-add. The four input rows under two output rows are interleaved in the thread's
// workspace, {channel}{column}{4}, so that every position is a constant distance away. Bound by the multiply-add units. A
// row of windows is summed on its own, then rows and images of a leaf in ascending order, then the tree over the leaves.
// Measured on one core of an EPYC of family 25, AVX-512: 1->16 @128 batch 32 1.5 ms, 99 GFLOP/s of 118 (4.7 ms as two
// passes); 3->32 @224 batch 16 with batch normalisation 18.4 ms (30.3). Threads share (leaf, 16 channels).
#include "kernels/conv2d/stem/pooled_stem.h"
#include "kernels/simd/rounded.h"
#include "kernels/simd/simd_pool.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows pooled_stem_rows();
namespace {

constexpr int most_channels = 3, stored_rows = 4;

int64_t columns_of(const PooledStem& o) { return div_up(2 * o.q + side - 1, vf_width) * vf_width; }

// The input rows top .. top+3 of one channel, {column}{4}, zero outside of the image; column 0 is image column -pad_w.
void interleave_rows(const PooledStem& o, const float* plane, int64_t top, float* to) {
    for (int64_t column = 0; column < columns_of(o); column += vf_width, to += stored_rows * vf_width) {
        const int64_t first = column - o.pad_w, last = o.w - first;
        const VM inside = vm_range(static_cast<int>(first < 0 ? (-first < vf_width ? -first : vf_width) : 0),
                                   static_cast<int>(last < 0          ? 0
                                                    : last < vf_width ? last
                                                                      : vf_width));
        VF row[stored_rows];
        for (int i = 0; i < stored_rows; ++i)
            row[i] = top + i >= 0 && top + i < o.h ? vf_load(plane + (top + i) * o.w + first, inside) : vf_zero();
        const VF even_low = vf_weave_low(row[0], row[2]), even_high = vf_weave_high(row[0], row[2]);
        const VF odd_low = vf_weave_low(row[1], row[3]), odd_high = vf_weave_high(row[1], row[3]);
        vf_store(to, vf_weave_low(even_low, odd_low));
        vf_store(to + vf_width, vf_weave_high(even_low, odd_low));
        vf_store(to + 2 * vf_width, vf_weave_low(even_high, odd_high));
        vf_store(to + 3 * vf_width, vf_weave_high(even_high, odd_high));
    }
}

// Hides that two corners, or two windows, read the same inputs: kept in registers they would push out the sums.
XB_INLINE const float* loads_again(const float* p) {
    __asm__ volatile("" : "+r"(p));
    return p;
}

// One row of windows of vf_width output channels.
struct WindowRow {
    const float *x, *y, *dy;  // x: of the first of the channels; y: of the upper row
    const uint8_t* index;
    int64_t x_step;  // between input channels
    VF scale, offset, gain;
};

// Adds the row to the sums of CN input channels, {positions}{16}; the bias' sum comes last.
template <int CN, bool norm>
XB_INLINE void add_windows(const PooledStem& o, const WindowRow& row, float* sums, float* bias_sums) {
    VF acc[CN * taps], bias = vf_zero();
#pragma GCC unroll 27
    for (int i = 0; i < CN * taps; ++i) acc[i] = vf_zero();
    const float* x[CN];
    for (int c = 0; c < CN; ++c) x[c] = row.x + c * row.x_step;
    const float *y = row.y, *dy = row.dy;
    const uint8_t* index = row.index;
    for (int64_t q = 0; q < o.q; ++q, dy += chunk_size, index += chunk_size) {
        const VF d = norm ? vf_load(dy) * row.gain : vf_load(dy);
        const Places places = load_places(index, vf_width);
#pragma GCC unroll 4
        for (int corner = 0; corner < 4; ++corner) {
            VF g = only_at(places, corner, d);
            if (norm) g = vf_fma(vf_load(y + corner / 2 * o.y_row + corner % 2 * chunk_size), row.scale, row.offset) + g;
            bias = bias + g;
#pragma GCC unroll 3
            for (int c = 0; c < CN; ++c) {
                const float* at = loads_again(x[c]);
#pragma GCC unroll 9
                for (int i = 0; i < taps; ++i) {
                    const VF input = vf_set1(at[(corner % 2 + i % side) * stored_rows + corner / 2 + i / side]);
                    acc[c * taps + i] = vf_fma(input, g, acc[c * taps + i]);
                }
            }
        }
        for (int c = 0; c < CN; ++c) x[c] += 2 * stored_rows;
        if (norm) y += 2 * chunk_size;
    }
#pragma GCC unroll 27
    for (int i = 0; i < CN * taps; ++i) vf_store(sums + i * chunk_size, vf_load(sums + i * chunk_size) + acc[i]);
    if (bias_sums) vf_store(bias_sums, vf_load(bias_sums) + bias);
}

// Row p of the windows of image n for one block of output channels; `x` holds the interleaved input.
template <bool norm>
void add_window_row(const PooledStem& o, const NormNumbers& numbers, const float* x, int64_t n, int64_t block, int64_t p,
                    float* sums) {
    const int64_t plane = n * o.blocks() + block, pooled = (plane * o.p + p) * o.q * chunk_size;
    float* bias_sums = sums + o.c * taps * chunk_size;
    for (int lane = 0; lane < chunk_size; lane += vf_width) {
        WindowRow row{x,
                      norm ? o.y + plane * o.y_plane + 2 * p * o.y_row + lane : nullptr,
                      o.dy + pooled + lane,
                      o.index + pooled + lane,
                      columns_of(o) * stored_rows,
                      vf_load(numbers.scale + lane),
                      vf_load(numbers.offset + lane),
                      vf_load(numbers.gain + lane)};
        if (vf_registers == 32 && o.c == most_channels) {
            add_windows<most_channels, norm>(o, row, sums + lane, bias_sums + lane);
            continue;
        }
        for (int64_t c = 0; c < o.c; ++c, row.x += row.x_step)
            add_windows<1, norm>(o, row, sums + c * taps * chunk_size + lane, c == 0 ? bias_sums + lane : nullptr);
    }
}

// The sums of one leaf and block of channels, {positions}{16}.
void add_leaf(const PooledStem& o, int64_t first, int64_t last, int64_t block, float* scratch, float* sums) {
    for (int64_t i = 0; i < o.positions() * chunk_size; ++i) sums[i] = 0;
    const NormNumbers numbers = o.y ? norm_numbers(o, block) : NormNumbers{};
    for (int64_t n = first; n < last; ++n)
        for (int64_t p = 0; p < o.p; ++p) {
            for (int64_t c = 0; c < o.c; ++c)
                interleave_rows(o, o.x + (n * o.c + c) * o.h * o.w, 2 * p - o.pad_h,
                                scratch + c * columns_of(o) * stored_rows);
            if (o.y)
                add_window_row<true>(o, numbers, scratch, n, block, p, sums);
            else
                add_window_row<false>(o, numbers, scratch, n, block, p, sums);
        }
}

int64_t scratch_floats(const PooledStem& o) { return o.c * columns_of(o) * stored_rows; }

size_t workspace(const Problem& p, int threads) {
    const PooledStem o = pooled_stem_of(p);
    return static_cast<size_t>(p.leaves * o.blocks() * o.positions() * chunk_size + threads * scratch_floats(o)) *
           sizeof(float);
}

void run(const KernelArgs& args, const Team& team) noexcept {
    const PooledStem o = pooled_stem_of(args, args.step);
    const int64_t blocks = o.blocks(), size = o.positions() * chunk_size;
    auto* partial = static_cast<float*>(args.workspace);
    float* scratch = partial + args.leaves * blocks * size + team.rank * scratch_floats(o);
    const StepContext& step = *args.step;
    const Share share = share_of(step.leaves * blocks, team);
    for (int64_t task = share.begin; task < share.end; ++task) {
        const int64_t v = task / blocks;
        add_leaf(o, step.leaf_begin[v], step.leaf_begin[v + 1], task % blocks, scratch, partial + task * size);
    }
    team.barrier();
    float* db = has_operand(args.out, args.n_out, 1) ? static_cast<float*>(args.out[1].data) : nullptr;
    add_leaves(o, step, partial, static_cast<float*>(args.out[0].data), db, team);
}

Support supports(const Problem& p) {
    const bool norm = p.op == OpKind::conv2d_batchnorm_pool_wgrad;
    const KernelTensor &x = p.in[0], &dy = p.in[1 + norm];
    if (const Support stem = is_pooled_stem(p); !stem) return stem;
    if (x.dim[1] != 1 && x.dim[1] != most_channels) return refused("channels");
    if (!is_blocked(p.in[2 + norm])) return refused("layout");
    return both(both(dense_f32(x, Layout::plain), dense_f32(dy, Layout::nchw16c)),
                norm ? dense_f32(p.in[1], Layout::nchw16c) : supported);
}

const Kernel rows[] = {
    {OpKind::conv2d_pool_wgrad, "pooled_stem", this_isa, in_f32<supports>, workspace, run},
    {OpKind::conv2d_batchnorm_pool_wgrad, "pooled_stem", this_isa, in_f32<supports>, workspace, run},
};

}  // namespace

KernelRows pooled_stem_rows() { return {rows, sizeof rows / sizeof rows[0]}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
