// The forward pass and dgrad over nchw16c with products in bf16: the register tile of direct_blocked_forward.h (14
// neighbouring outputs of a row x 32 channels), but two input channels a multiply-add: 28 of them for 2 + 14 loads. The
// activation is first rounded into a copy, in which a dword holds channels 2j and 2j+1 of a pixel, and whose rows have zero
// columns left and right, so that no tile meets a border; rows outside of the image are skipped.
#pragma once

#include "kernels/conv2d/direct/direct_bands.h"
#include "kernels/simd/pairs.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

constexpr int block_pairs = block / 2;

// The rounded copy: {n}{block}{row}{left + width + right}{8 pairs of channels}.
struct PairImages {
    uint32_t* data;
    int64_t image, plane, row;  // steps in dwords
    int32_t left, right;        // zero columns
};

struct PairJob {
    PairImages in;
    int64_t channels;  // of the input
    Blocks out;
    Axis rows, columns;
    const uint32_t* weights;  // {group}{input block}{r}{s}{pair of channels}{channel of the group}
    const float* bias;        // padded to whole groups
    bool relu;
};

XB_INLINE int32_t pairs_in_block(int64_t channels, int64_t c0) {
    return static_cast<int32_t>(channels - c0 < block ? div_up(channels - c0, 2) : block_pairs);
}
XB_INLINE int64_t pairs_in_all(int64_t channels) { return div_up(channels, 2); }

// Widens the copy's zero columns to what the outputs of this axis read.
XB_INLINE void reserve_columns(const Axis& columns, PairImages& copy) {
    for (int32_t s = 0; s < columns.taps && columns.outputs > 0; ++s) {
        const int32_t first = columns.tap[s].shift, last = first + (columns.outputs - 1) * columns.step;
        if (-first > copy.left) copy.left = -first;
        if (last - columns.inputs + 1 > copy.right) copy.right = last - columns.inputs + 1;
    }
}

XB_INLINE void set_steps(const Blocks& from, PairImages& copy) {
    copy.row = (from.w + copy.left + copy.right) * block_pairs;
    copy.plane = from.h * copy.row;
    copy.image = div_up(from.c, block) * copy.plane;
}

static inline void round_images(const Blocks& from, const PairImages& copy, const Team& team) {
    const Share mine = share_of(from.n * div_up(from.c, block) * from.h, team);
    for (int64_t row = mine.begin; row < mine.end; ++row) {
        const float* x = from.data + row * from.row;
        uint32_t* to = copy.data + row * copy.row;
        for (int64_t i = 0; i < copy.left * block_pairs; ++i) *to++ = 0;
        int64_t j = 0;
        for (; j + 2 <= from.w; j += 2, x += 2 * block, to += 2 * block_pairs)
            store_neighbours(to, vf_load(x), vf_load(x + block));
        if (j < from.w) {
            store_neighbours(to, vf_load(x));
            to += block_pairs;
        }
        for (int64_t i = 0; i < copy.right * block_pairs; ++i) *to++ = 0;
    }
}

// Outputs (i, j .. j+PT-1) of one image for KV vectors of channels. STRIDE: columns between the inputs of neighbours.
template <int PT, int KV, int STRIDE>
static void pair_tile(const PairJob& job, const uint32_t* image, const uint32_t* w, int64_t channel, int32_t i, int32_t j,
                      float* out_image) {
    VF acc[PT][KV];
#pragma GCC unroll 16
    for (int p = 0; p < PT; ++p)
#pragma GCC unroll 2
        for (int v = 0; v < KV; ++v) acc[p][v] = vf_load(job.bias + channel + v * vf_width);
    const Axis &rows = job.rows, &columns = job.columns;
    const int64_t pixel = STRIDE ? STRIDE * block_pairs : int64_t{columns.step} * block_pairs;
    for (int64_t c0 = 0; c0 < job.channels; c0 += block, image += job.in.plane) {
        const int32_t pairs = pairs_in_block(job.channels, c0);
        for (int32_t r = 0; r < rows.taps; ++r) {
            const int32_t y = i * rows.step + rows.tap[r].shift;
            if (y < 0 || y >= rows.inputs) {
                w += int64_t{columns.taps} * pairs * KV * vf_width;
                continue;
            }
            const uint32_t* row = image + y * job.in.row + (int64_t{j} * columns.step + job.in.left) * block_pairs;
            for (int32_t s = 0; s < columns.taps; ++s) {
                const uint32_t* x = row + int64_t{columns.tap[s].shift} * block_pairs;
                for (int32_t c = 0; c < pairs; ++c, ++x, w += KV * vf_width) {
                    Pairs filter[KV];
#pragma GCC unroll 2
                    for (int v = 0; v < KV; ++v) filter[v] = pairs_load(w + v * vf_width);
#pragma GCC unroll 16
                    for (int p = 0; p < PT; ++p) {
                        const Pairs input = pairs_set1(x[p * pixel]);
#pragma GCC unroll 2
                        for (int v = 0; v < KV; ++v) acc[p][v] = pairs_dot(input, filter[v], acc[p][v]);
                    }
                }
            }
        }
    }
    const int64_t y = rows.out_first + int64_t{i} * rows.out_step;
    float* out = out_image + y * job.out.row + (columns.out_first + int64_t{j} * columns.out_step) * block +
                 channel / block * job.out.plane;
#pragma GCC unroll 2
    for (int v = 0; v < KV; ++v)
#pragma GCC unroll 16
        for (int p = 0; p < PT; ++p)
            vf_store(out + v * job.out.plane + int64_t{p} * columns.out_step * block,
                     job.relu ? vf_relu(acc[p][v]) : acc[p][v]);
}

typedef void (*PairTile)(const PairJob&, const uint32_t*, const uint32_t*, int64_t, int32_t, int32_t, float*);

template <int PT, int KV>
static PairTile pair_tile_for(int32_t stride) {
    if (stride == 1) return pair_tile<PT, KV, 1>;
    return stride == 2 ? pair_tile<PT, KV, 2> : pair_tile<PT, KV, 0>;
}

template <int PT>
static PairTile find_pair_tile(int pixels, int vectors, int32_t stride) {
    if constexpr (PT == 0) {
        return nullptr;
    } else {
        if (pixels < PT) return find_pair_tile<PT - 1>(pixels, vectors, stride);
        return vectors == 1 ? pair_tile_for<PT, 1>(stride) : pair_tile_for<PT, 2>(stride);
    }
}

// Dwords of all packed filters.
XB_INLINE int64_t packed_pairs_size(int64_t outs, int64_t ins, int64_t taps) {
    return packed_size(outs, pairs_in_all(ins), taps);
}

// One image row after another; a row is cut into equal tiles of at most tile_pixels_of(panel_vectors).
static inline void pair_convolution(const PairJob& job, const Team& team) {
    const int32_t outs = job.columns.outputs;
    if (outs == 0 || job.rows.outputs == 0) return;
    const int64_t groups = div_up(div_up(job.out.c, block) * block, group_width);
    const int64_t group_size = pairs_in_all(job.channels) * job.rows.taps * job.columns.taps * group_width;
    const int32_t tiles = static_cast<int32_t>(div_up(outs, tile_pixels_of(panel_vectors))),
                  wide = outs / tiles + (outs % tiles != 0);
    PairTile tile[2][2];  // {vectors}{pixels: wide, wide - 1}
    for (int v = 0; v < 2; ++v)
        for (int less = 0; less < 2; ++less)
            tile[v][less] = find_pair_tile<tile_pixels_of(panel_vectors)>(wide - less, v + 1, job.columns.step);
    const Share mine = share_of(job.out.n * groups * job.rows.outputs, team);
    for (int64_t task = mine.begin; task < mine.end; ++task) {
        const int32_t i = static_cast<int32_t>(task % job.rows.outputs);
        const int64_t group = task / job.rows.outputs % groups, n = task / job.rows.outputs / groups;
        const int64_t channel = group * group_width;
        const int vectors = group_vectors_at(channel, job.out.c);
        for (int32_t t = 0; t < tiles; ++t) {
            const int32_t j = outs * t / tiles, pixels = outs * (t + 1) / tiles - j;
            tile[vectors - 1][wide - pixels](job, job.in.data + n * job.in.image, job.weights + group * group_size, channel,
                                             i, j, job.out.data + n * job.out.image);
        }
    }
}

// Writes the filters of one (group, input block) as pair_tile reads them; channels past the last are zero.
static void pack_pair_block(const FilterView& w, const Axis& rows, const Axis& columns, int64_t channel, int64_t c0,
                            int vectors, uint32_t* packed) {
    const int32_t pairs = pairs_in_block(w.ins, c0);
    for (int32_t r = 0; r < rows.taps; ++r)
        for (int32_t s = 0; s < columns.taps; ++s) {
            const int64_t position = rows.tap[r].filter * int64_t{w.s} + columns.tap[s].filter;
            for (int32_t pair = 0; pair < pairs; ++pair)
                for (int v = 0; v < vectors; ++v, packed += vf_width) {
                    const int64_t k = channel + v * vf_width, c = c0 + 2 * pair;
                    const int lanes = w.outs - k < vf_width ? static_cast<int>(w.outs > k ? w.outs - k : 0) : vf_width;
                    const float* filter = w.data + k * w.out_step + c * w.in_step + position;
                    const VF even = vf_load_strided(filter, w.out_step, 0, lanes);
                    const VF odd = c + 1 < w.ins ? vf_load_strided(filter + w.in_step, w.out_step, 0, lanes) : vf_zero();
                    pairs_store(packed, pairs_of(even, odd));
                }
        }
}

static inline void pack_pair_filters(const FilterView& w, const Axis& rows, const Axis& columns, uint32_t* packed,
                                     const Team& team) {
    const int64_t groups = div_up(div_up(w.outs, block) * block, group_width), in_blocks = div_up(w.ins, block);
    const int64_t taps = int64_t{rows.taps} * columns.taps;
    const Share mine = share_of(groups * in_blocks, team);
    for (int64_t task = mine.begin; task < mine.end; ++task) {
        const int64_t group = task / in_blocks, c0 = task % in_blocks * block, channel = group * group_width;
        const int vectors = group_vectors_at(channel, w.outs);
        uint32_t* to = packed + group * pairs_in_all(w.ins) * taps * group_width + c0 / 2 * taps * vectors * vf_width;
        pack_pair_block(w, rows, columns, channel, c0, vectors, to);
    }
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
