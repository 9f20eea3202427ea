// "winograd43": a 3x3 convolution of stride 1 over nchw16c by Winograd's F(4x4, 3x3) with the pass that follows it, taken up
// where the tiles of 4x4 outputs leave the registers.
//   conv2d_statistics   sums of y - K and (y - K)^2 of each channel: a tile's in f32, from there on in double, for each row
//                       of tiles, {images, rows of tiles, blocks of 16 channels}; bands of channel_sums.h. Threads share
//                       whole rows of tiles, so that the sums are the same for any team
//   conv2d_pool         the maximum of each 2x2 window of a tile and its place; y itself is never written. Tiles that no
//                       window covers are left out. A dropout behind it: whole channels only, as a tile's elements lie on
//                       two rows
// Bound as the convolution alone (winograd.isa.cpp). 16 -> 32 channels at 64x64 with ReLU and pooling, batch 32: 6.9
// ms as the convolution alone, and 2.0 ms for pooling and dropout less (one core of a Zen 3, AVX2).
#include "kernels/batchnorm/channel_sums.h"
#include "kernels/conv2d/winograd/winograd_forward.h"
#include "kernels/dropout/dropout_bits.h"
#include "kernels/simd/rounded.h"
#include "kernels/simd/simd_pool.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows winograd_fused_rows();
namespace {

using F = F43;

const Conv2d& conv_of(const Problem& p) {
    return p.op == OpKind::conv2d_pool ? static_cast<const Conv2dPool*>(p.attrs)->conv
                                       : *static_cast<const Conv2d*>(p.attrs);
}

// The workspace begins as that of the convolution alone.
int64_t convolution_floats(const Problem& p, int threads) {
    return div_up(winograd_floats<F>(p.out[0].dim[1], p.in[0].dim[1], threads), block) * block;
}

// out: what of the convolution's output is computed.
WinogradJob job_of(const KernelArgs& args, const Blocks& out, const Team& team) {
    const Conv2d& conv = conv_of(args);
    const float* bias = has_operand(args.in, args.n_in, 2) ? static_cast<const float*>(args.in[2].data) : nullptr;
    return winograd_job<F>(blocks_of(args.in[0]), out, forward_filters(args.in[1]), false, bias, conv.pad_h, conv.pad_w,
                           conv.activation == Activation::relu, static_cast<float*>(args.workspace), team);
}

// ---- conv2d_statistics ----

int64_t tile_rows(const Problem& p) { return div_up(p.out[0].dim[2], F::m); }

size_t statistics_workspace(const Problem& p, int threads) {
    const int64_t sums = p.out[0].dim[0] * tile_rows(p) * div_up(p.out[0].dim[1], block);
    return static_cast<size_t>(convolution_floats(p, threads)) * sizeof(float) + static_cast<size_t>(sums) * sizeof(SumPair);
}

// The first tile of a row starts the row's sums.
XB_INLINE void add_lanes(double* sums, VF terms, bool starts) {
    float lane[vf_width];
    vf_store(lane, terms);
    for (int i = 0; i < vf_width; ++i) sums[i] = (starts ? 0.0 : sums[i]) + static_cast<double>(lane[i]);
}

struct StoreAndSum {
    StoreTile<F> store;
    const float* mean;  // K
    SumPair* sums;      // {images, rows of tiles, blocks}
    int64_t rows, blocks;

    __attribute__((always_inline)) void operator()(const TilePlace& at, int64_t channel, const VF (&y)[F::m][F::m]) const {
        store(at, channel, y);
        const int64_t left = store.out.c - channel;
        const VF shift = vf_load(mean + channel, vm_first(static_cast<int>(left < 0          ? 0
                                                                           : left < vf_width ? left
                                                                                             : vf_width)));
        const int64_t high = store.out.h - at.row, wide = store.out.w - at.column;
        VF sum[F::m], squares[F::m];  // of rows: short chains of additions
#pragma GCC unroll 4
        for (int i = 0; i < F::m; ++i) {
            VF d[F::m];
#pragma GCC unroll 4
            for (int j = 0; j < F::m; ++j) d[j] = i < high && j < wide ? y[i][j] - shift : vf_zero();
            sum[i] = (d[0] + d[1]) + (d[2] + d[3]);
            squares[i] = vf_fma(d[0], d[0], d[1] * d[1]) + vf_fma(d[2], d[2], d[3] * d[3]);
        }
        SumPair& pair = sums[(at.n * rows + at.row / F::m) * blocks + channel / block];
        add_lanes(pair.lane[0] + channel % block, (sum[0] + sum[1]) + (sum[2] + sum[3]), at.column == 0);
        add_lanes(pair.lane[1] + channel % block, (squares[0] + squares[1]) + (squares[2] + squares[3]), at.column == 0);
    }
};

void run_statistics(const KernelArgs& args, const Team& team) noexcept {
    const WinogradJob job = job_of(args, blocks_of(args.out[0]), team);
    const Planes planes = planes_of(args.out[0]);
    auto* sums = reinterpret_cast<SumPair*>(static_cast<float*>(args.workspace) + convolution_floats(args, team.size));
    const int64_t rows = tile_rows(args);
    const Share mine = share_of(job.in.n * rows, team);
    const StoreAndSum finish{{job.out}, static_cast<const float*>(args.in[3].data), sums, rows, planes.groups};
    winograd_tiles<F>(job, {mine.begin * job.grid.wide, mine.end * job.grid.wide}, finish);
    team.barrier();
    add_bands(planes, *args.step, {job.out.data, finish.mean}, rows, sums, static_cast<double*>(args.out[1].data), team);
}

// ---- conv2d_pool ----

struct PoolTile {
    float* y;
    uint8_t* index;  // or null
    int64_t p, q, channels, blocks;
    bool relu;
    const float* factors;  // of a dropout, {images, blocks, 16}: 1 / (1-p), or 0 for a dropped channel; or null

    // Window (row, column) of some channels, whose first is number `lane` of the block; `plane`: (image, block).
    __attribute__((always_inline)) void window(int64_t plane, int64_t lane, int64_t row, int64_t column, VF closed, VF a,
                                               VF b, VF c, VF d) const {
        if (row >= p || column >= q) return;
        const VM right = vm_beats(b, a), right_below = vm_beats(d, c);
        const VF above = vf_select(right, b, a), below = vf_select(right_below, d, c);
        const VM lower = vm_beats(below, above);
        VF best = vf_select(lower, below, above);
        VF place = vf_select(lower, vf_select(right_below, vf_set1(3), vf_set1(2)), vf_select(right, vf_set1(1), vf_zero()));
        if (relu) place = vf_select(vm_greater(best, vf_zero()), place, closed);
        if (factors) {
            const VF factor = vf_load(factors + plane * block + lane);
            const VM kept = vm_greater(factor, vf_zero());
            best = vf_select(kept, best * factor, vf_zero());
            place = vf_select(kept, place, closed);
        }
        const int64_t to = ((plane * p + row) * q + column) * block + lane;
        vf_store(y + to, best);
        if (index) store_bytes(index + to, place, vf_width);
    }

    __attribute__((always_inline)) void operator()(const TilePlace& at, int64_t channel, const VF (&t)[F::m][F::m]) const {
        const int64_t left = channels - channel, plane = at.n * blocks + channel / block;
        const VM real = vm_first(static_cast<int>(left < 0 ? 0 : left < vf_width ? left : vf_width));
        const VF closed = vf_select(real, vf_set1(closed_window), vf_zero());  // padding channels have index 0
#pragma GCC unroll 2
        for (int i = 0; i < F::m; i += 2)
#pragma GCC unroll 2
            for (int j = 0; j < F::m; j += 2)
                window(plane, channel % block, (at.row + i) / 2, (at.column + j) / 2, closed, t[i][j], t[i][j + 1],
                       t[i + 1][j], t[i + 1][j + 1]);
    }
};

const Dropout& dropout_of(const Problem& p) { return static_cast<const Conv2dPool*>(p.attrs)->dropout; }

// Floats of the factors behind the convolution's workspace.
int64_t factor_floats(const Problem& p) {
    return dropout_of(p).p > 0 ? p.out[0].dim[0] * div_up(p.out[0].dim[1], block) * block : 0;
}

size_t pool_workspace(const Problem& p, int threads) {
    return static_cast<size_t>(convolution_floats(p, threads) + factor_floats(p)) * sizeof(float);
}

// Each thread some images.
const float* make_factors(const KernelArgs& args, float* factors, const Team& team) {
    if (factor_floats(args) == 0) return nullptr;
    const DropoutBits bits = dropout_bits(dropout_of(args), *args.step);
    const int64_t images = args.out[0].dim[0], each = factor_floats(args) / images;
    const Share mine = share_of(images, team);
    for (int64_t n = mine.begin; n < mine.end; ++n)
        for (int64_t c = 0; c < each; c += 4) {
            const Philox4 words = philox4x32(bits.key(n), static_cast<uint64_t>(c / 4), bits.stream);
            for (int64_t i = 0; i < 4; ++i) factors[n * each + c + i] = uniform01(words.v[i]) >= bits.p ? bits.scale : 0.0f;
        }
    return factors;
}

void run_pool(const KernelArgs& args, const Team& team) noexcept {
    const KernelTensor& y = args.out[0];
    Blocks windows = blocks_of(y);  // the outputs that windows cover, which are not stored
    windows.data = nullptr, windows.h *= 2, windows.w *= 2;
    float* factors = static_cast<float*>(args.workspace) + convolution_floats(args, team.size);
    const float* made = make_factors(args, factors, team);
    const WinogradJob job = job_of(args, windows, team);
    PoolTile finish{static_cast<float*>(y.data), nullptr,  y.dim[2], y.dim[3], y.dim[1],
                    div_up(y.dim[1], block),     job.relu, made};
    if (has_operand(args.out, args.n_out, 1)) finish.index = static_cast<uint8_t*>(args.out[1].data);
    winograd_tiles<F>(job, share_of(job.in.n * job.grid.high * job.grid.wide, team), finish);
}

Support supports(const Problem& p) { return winograd_supports(conv_of(p), p.in[0], p.out[0]); }
Support pool_supports(const Problem& p) {
    const auto& a = *static_cast<const Conv2dPool*>(p.attrs);
    if (a.r != 2 || a.s != 2) return refused("window");
    return a.dropout.p > 0 && !a.dropout.per_channel ? refused("dropout of single elements") : supports(p);
}

// Where the convolution alone is chosen.
bool wins(const Problem& p) {
    const Conv2d& conv = conv_of(p);
    return winograd_pays(p.in[0].dim[1], p.out[0].dim[1], p.in[0].dim[2] + 2 * conv.pad_h - 2,
                         p.in[0].dim[3] + 2 * conv.pad_w - 2);
}

// Images of y below 1 MiB are still in a cache when the pass for the sums comes, and then in a nearer one for the pass after
// it: measured equal or slower (32 -> 64 channels at 16x16 3.16 ms against 2.83 + .24, 8 -> 16 at 32x32 2.31 against 2.07);
// 32 -> 64 at 112x112 saves 3.6 of 38 ms (one core of a Zen 3, AVX2, whole steps).
bool statistics_win(const Problem& p) {
    const KernelTensor& y = p.out[0];
    return wins(p) && y.dim[1] * y.dim[2] * y.dim[3] * int64_t{sizeof(float)} >= int64_t{1} << 20;
}

const Kernel rows[] = {
    {OpKind::conv2d_statistics, "winograd43", this_isa, in_f32<supports>, statistics_workspace, run_statistics, growth43,
     statistics_win},
    {OpKind::conv2d_pool, "winograd43", this_isa, in_f32<pool_supports>, pool_workspace, run_pool, growth43, wins},
};

}  // namespace

KernelRows winograd_fused_rows() { return {rows, sizeof rows / sizeof rows[0]}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
