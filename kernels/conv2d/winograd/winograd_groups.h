// Winograd's forward pass and dgrad of many channels. Transformed filters are four times as large as the filters. Where no
// cache holds them they are made group by group and a chunk of input channels at a time, multiplied with a run of units
// while they are in the second-level cache, and forgotten. The sums wait in the products meanwhile, so that their order is
// the same. The inputs of a run are shared.
//   transformed inputs   {unit}{input block}{point}{tile}{16}
//   transformed filters  {point}{channel of the chunk}{channel of the group}, a thread's own
//   products             {unit}{block of the group}{point}{tile}{16}, a thread's own
#pragma once

#include "kernels/conv2d/winograd/winograd_forward.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

constexpr int run_units = 8, filters_chunk = 64;
constexpr int64_t large_filters = int64_t{4} << 20;  // bytes, transformed

// Floats between two points; a line more than they need, or they would compete for one set of the first-level cache.
constexpr int64_t chunk_step = int64_t{filters_chunk} * group_width + block;

struct RunSizes {
    int64_t units;                      // of a run, at most
    int64_t inputs, filters, products;  // floats: of a unit; of a thread; of a thread
};

// As many units as fit where the transformed filters would lie; none: make all filters first.
template <class F>
XB_INLINE RunSizes run_sizes(const WinogradJob& job, const Team& team) {
    const int64_t room = transformed_filters_size<F>(job.out.c, job.in.c);
    const int64_t inputs = unit_inputs_size<F>(job.in.c), filters = F::n * F::n * chunk_step;
    int64_t units = div_up(job.in.n * job.grid.high * job.grid.wide, unit_tiles);
    if (units > run_units) units = run_units;
    const int64_t fit = (room - team.size * filters) / (inputs + team.size * unit_products_size<F>());
    if (units > fit) units = fit;
    const bool wins = room * int64_t{sizeof(float)} > large_filters && winograd_groups(job.out.c) >= team.size;
    if (!wins || units < 0) units = 0;
    return {units, inputs, filters, units * unit_products_size<F>()};
}

struct UnitRun {
    int64_t units;
    Unit unit[run_units];
};

// The products of a chunk's channels c .. c + channels - 1 for one group.
template <class F>
static void multiply_chunk(const RunSizes& sizes, const UnitRun& run, const UnitCut* cuts, const float* inputs,
                           const float* filters, float* products, int64_t c, int32_t channels) {
    inputs += unit_channel<F>(c);
    for (int point = 0; point < F::n * F::n; ++point, inputs += unit_point, products += unit_point, filters += chunk_step)
        for (int64_t u = 0; u < run.units; ++u)
            multiply_unit(run.unit[u], cuts[u], inputs + u * sizes.inputs, channels, filters,
                          products + u * unit_products_size<F>(), c > 0);
}

// A run's tiles for the group of output channels from `channel` on.
template <class F>
static void group_of_run(const WinogradJob& job, const FilterView& w, bool turned, const RunSizes& sizes, const UnitRun& run,
                         const float* inputs, float* filters, int64_t channel) {
    const int used = used_vectors_at(channel, job.out.c), width = used * vf_width;
    float* products = filters + sizes.filters;
    UnitCut cuts[run_units];
    for (int64_t u = 0; used > 0 && u < run.units; ++u) cuts[u] = cut_unit<F>(run.unit[u], used);
    for (int64_t c = 0; used > 0 && c < job.in.c; c += filters_chunk) {
        const int32_t channels = job.in.c - c < filters_chunk ? static_cast<int32_t>(job.in.c - c) : filters_chunk;
        for (int lane = 0; lane < width; lane += vf_width)
            for (int32_t i = 0; i < channels; ++i)
                transform_filter<F>(w, turned, channel + lane, c + i, filters + int64_t{i} * width + lane, chunk_step);
        multiply_chunk<F>(sizes, run, cuts, inputs, filters, products, c, channels);
    }
    const StoreTile<F> finish{job.out};
    for (int64_t u = 0; u < run.units; ++u, products += unit_products_size<F>()) {
        for (int lane = width; lane < group_vectors_at(channel, job.out.c) * vf_width; lane += vf_width)
            zero_outputs<F>(run.unit[u], channel + lane, finish);
        for (int lane = 0; lane < width; lane += vf_width)
            transform_outputs<F>(job, run.unit[u], channel + lane, products + unit_channel<F>(lane), finish);
    }
}

// Threads share the blocks of a run's inputs, then the groups.
template <class F>
static void winograd_by_groups(const WinogradJob& job, const FilterView& w, bool turned, const RunSizes& sizes,
                               const Team& team) {
    float *inputs = job.filters, *own = inputs + sizes.units * sizes.inputs + team.rank * (sizes.filters + sizes.products);
    const int64_t tiles = job.in.n * job.grid.high * job.grid.wide, blocks = div_up(job.in.c, block);
    const Share groups = share_of(winograd_groups(job.out.c), team);
    for (int64_t first = 0; first < tiles; first += sizes.units * unit_tiles) {
        UnitRun run;
        const int64_t left = div_up(tiles - first, unit_tiles);
        run.units = left < sizes.units ? left : sizes.units;
        for (int64_t u = 0; u < run.units; ++u)
            run.unit[u].tiles = place_tiles<F>(job.grid, first + u * unit_tiles, tiles, run.unit[u].at);
        if (first > 0) team.barrier();  // nobody reads the last run's inputs any more
        const Share mine = share_of(run.units * blocks, team);
        for (int64_t task = mine.begin; task < mine.end; ++task)
            transform_input_block<F>(job, run.unit[task / blocks], task % blocks, inputs + task / blocks * sizes.inputs);
        team.barrier();  // the inputs are there, and the bias
        for (int64_t g = groups.begin; g < groups.end; ++g)
            group_of_run<F>(job, w, turned, sizes, run, inputs, own, g * group_width);
    }
}

// Forward and dgrad of images that are stored as they come. pad: of the convolution that is computed.
template <class F>
static void winograd_images(const Blocks& in, const Blocks& out, const FilterView& filters, bool turned, const float* bias,
                            int32_t pad_h, int32_t pad_w, bool relu, float* workspace, const Team& team) {
    const WinogradJob job = untransformed_job<F>(in, out, filters, bias, pad_h, pad_w, relu, workspace, team);
    const RunSizes sizes = run_sizes<F>(job, team);
    if (sizes.units > 0) return winograd_by_groups<F>(job, filters, turned, sizes, team);
    transform_filters<F>(filters, turned, job.filters, team);
    team.barrier();
    winograd_convolution<F>(job, team);
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
