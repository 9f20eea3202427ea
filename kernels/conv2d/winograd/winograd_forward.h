// Winograd's forward pass and dgrad over nchw16c. Output images are cut into tiles of m x m; a unit of work is a few dozen
// tiles, counted over images, rows and columns, whose inputs are transformed for all input channels into the thread's
// workspace (second-level cache). Then for one group of output channels after the other: n*n products of matrices (tiles x
// channels) (channels x group), 14 tiles x 32 channels (AVX2: 5 x 16) in registers, and the transform of the results into
// the output.
//   transformed filters  {group}{point}{input channel}{channel of the group}, once a call, shared (see winograd_groups.h)
//   transformed inputs   {input block}{point}{tile}{16}, a thread's own
//   products             {block of the group}{point}{tile}{16}, a thread's own
// An output's sum goes over ascending channels whatever the size of a unit: the same bits for any team.
#pragma once

#include "kernels/conv2d/winograd/winograd_tiles.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

// What becomes of the outputs of a tile for vf_width channels, y[i][j] of pixel (row + i, column + j): here they are stored.
template <class F>
struct StoreTile {
    Blocks out;  // a copy, which stores cannot change: no load of a size is repeated after them
    __attribute__((always_inline)) void operator()(const TilePlace& at, int64_t channel, const VF (&y)[F::m][F::m]) const {
        const int64_t rows = out.h - at.row, columns = out.w - at.column, step = out.row;
        float* to = out.data + at.n * out.image + channel / block * out.plane + channel % block + at.row * step +
                    int64_t{at.column} * block;
        if (rows >= F::m && columns >= F::m)
            store<true>(to, step, rows, columns, y);
        else
            store<false>(to, step, rows, columns, y);
    }
    template <bool whole>
    __attribute__((always_inline)) static void store(float* to, int64_t step, int64_t rows, int64_t columns,
                                                     const VF (&y)[F::m][F::m]) {
#pragma GCC unroll 4
        for (int i = 0; i < F::m; ++i, to += step)
#pragma GCC unroll 4
            for (int j = 0; j < F::m; ++j)
                if (whole || (i < rows && j < columns)) vf_store(to + j * block, y[i][j]);
    }
};

// The outputs of a unit for the channels channel .. channel + vf_width - 1, whose products are given.
template <class F, class Finish>
static void transform_outputs(const WinogradJob& job, const Unit& unit, int64_t channel, const float* products,
                              const Finish& finish) {
    const VF bias = vf_load(job.bias + channel);
    for (int32_t t = 0; t < unit.tiles; ++t, products += block) {
        const TilePlace& at = unit.at[t];
        VF y[F::m][F::m];
        winograd_output<F>(products, unit_point, y);
#pragma GCC unroll 4
        for (int i = 0; i < F::m; ++i)
#pragma GCC unroll 4
            for (int j = 0; j < F::m; ++j) {
                y[i][j] += bias;
                if (job.relu) y[i][j] = vf_relu(y[i][j]);
            }
        finish(at, channel, y);
    }
}

// The same for channels of the padding.
template <class F, class Finish>
static void zero_outputs(const Unit& unit, int64_t channel, const Finish& finish) {
    VF y[F::m][F::m];
    for (int i = 0; i < F::m; ++i)
        for (int j = 0; j < F::m; ++j) y[i][j] = vf_zero();
    for (int32_t t = 0; t < unit.tiles; ++t) finish(unit.at[t], channel, y);
}

// The tiles mine.begin .. mine.end-1 of all images.
template <class F, class Finish>
static void winograd_tiles(const WinogradJob& job, const Share& mine, const Finish& finish) {
    const int64_t channels = div_up(job.out.c, block) * block, group_size = F::n * F::n * job.in.c * group_width;
    Unit unit;
    for (int64_t first = mine.begin; first < mine.end; first += unit_tiles) {
        unit.tiles = place_tiles<F>(job.grid, first, mine.end, unit.at);
        unit.next_tiles = place_tiles<F>(job.grid, first + unit_tiles, mine.end, unit.next);
        transform_inputs<F>(job, unit);
        const float* filters = job.filters;
        for (int64_t channel = 0; channel < channels; channel += group_width, filters += group_size) {
            const int used = used_vectors_at(channel, job.out.c) * vf_width;
            if (used > 0) multiply_points<F>(job, unit, filters, channel);
            for (int lane = used; lane < group_vectors_at(channel, job.out.c) * vf_width; lane += vf_width)
                zero_outputs<F>(unit, channel + lane, finish);
            for (int lane = 0; lane < used; lane += vf_width)
                transform_outputs<F>(job, unit, channel + lane, job.products + unit_channel<F>(lane), finish);
        }
    }
}

// Each thread takes a run of tiles.
template <class F>
static void winograd_convolution(const WinogradJob& job, const Team& team) {
    winograd_tiles<F>(job, share_of(job.in.n * job.grid.high * job.grid.wide, team), StoreTile<F>{job.out});
}

// Groups of output channels.
XB_INLINE int64_t winograd_groups(int64_t outs) { return div_up(div_up(outs, block) * block, group_width); }

template <class F>
XB_INLINE int64_t transformed_filters_size(int64_t outs, int64_t ins) {
    return winograd_groups(outs) * group_width * ins * F::n * F::n;
}

// The filters from input channel c to the outputs k .. k + vf_width - 1; those past the last are zero. turned: by 180
// degrees, for dgrad. step: floats between points.
template <class F>
XB_INLINE void transform_filter(const FilterView& w, bool turned, int64_t k, int64_t c, float* to, int64_t step) {
    const int64_t left = w.outs - k;
    const int lanes = left < 0 ? 0 : left < vf_width ? static_cast<int>(left) : vf_width;
    VF taps[3][3];
    for (int j = 0; j < 9; j += vf_width) {
        VF column[vf_width];
        const int count = 9 - j < vf_width ? 9 - j : vf_width;
        vf_load_transposed(column, w.data + k * w.out_step + c * w.in_step + j, w.out_step, lanes, count);
        for (int i = 0; i < count; ++i) {
            const int tap = turned ? 8 - j - i : j + i;
            taps[tap / 3][tap % 3] = column[i];
        }
    }
    winograd_filter<F>(taps, to, step);
}

template <class F>
static void transform_filters(const FilterView& w, bool turned, float* transformed, const Team& team) {
    const Share mine = share_of(winograd_groups(w.outs) * w.ins, team);
    for (int64_t task = mine.begin; task < mine.end; ++task) {
        const int64_t channel = task / w.ins * group_width, c = task % w.ins;
        const int width = used_vectors_at(channel, w.outs) * vf_width;
        float* to = transformed + channel * w.ins * F::n * F::n + c * width;
        for (int lane = 0; lane < width; lane += vf_width)
            transform_filter<F>(w, turned, channel + lane, c, to + lane, w.ins * width);
    }
}

// The workspace of forward and dgrad: the padded bias, the transformed filters, for each thread its inputs and products.
template <class F>
XB_INLINE int64_t winograd_floats(int64_t outs, int64_t ins, int threads) {
    return padded_bias_size(outs) + transformed_filters_size<F>(outs, ins) +
           threads * (unit_inputs_size<F>(ins) + unit_products_size<F>());
}

// Fills the workspace's bias (null: zeros); its filters are not there yet. pad: of the convolution that is computed, which
// for dgrad is another one. Without `out.data` only its size counts.
template <class F>
static WinogradJob untransformed_job(const Blocks& in, const Blocks& out, const FilterView& filters, const float* given,
                                     int32_t pad_h, int32_t pad_w, bool relu, float* workspace, const Team& team) {
    float *bias = workspace, *transformed = bias + padded_bias_size(filters.outs);
    float* mine = transformed + transformed_filters_size<F>(filters.outs, filters.ins) +
                  team.rank * (unit_inputs_size<F>(filters.ins) + unit_products_size<F>());
    if (team.rank == 0)
        for (int64_t k = 0; k < padded_bias_size(filters.outs); ++k) bias[k] = given && k < filters.outs ? given[k] : 0.0f;
    return {in,          out,  pad_h, pad_w, tile_grid<F>(out),
            transformed, bias, relu,  mine,  mine + unit_inputs_size<F>(filters.ins)};
}

// With its filters; ends with a barrier.
template <class F>
static WinogradJob winograd_job(const Blocks& in, const Blocks& out, const FilterView& filters, bool turned,
                                const float* bias, int32_t pad_h, int32_t pad_w, bool relu, float* workspace,
                                const Team& team) {
    const WinogradJob job = untransformed_job<F>(in, out, filters, bias, pad_h, pad_w, relu, workspace, team);
    transform_filters<F>(filters, turned, job.filters, team);
    team.barrier();
    return job;
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
