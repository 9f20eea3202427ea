// The gradient of the filters of a first layer: x plain with up to 4 channels, dy nchw16c. With so few channels a tile spans
// positions of the filter instead: up to stem_positions of the c*r*s weights of 32 output channels in registers, 28
// multiply-adds for 2 + 14 loads with AVX-512, with AVX2 6 of 16. The input rows of one output row are first copied side by
// side with their padding, so that every position is inside; then all tiles take that row.
#pragma once

#include "kernels/conv2d/direct/direct_blocked_wgrad.h"
#include "kernels/conv2d/stem/stem_rows.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

constexpr int stem_positions = vf_registers == 32 ? 14 : 6;

// dw[..][first .. first + positions - 1], the positions counted over {c, r, s}.
struct StemTile {
    int64_t first;
    int positions, vectors;
    int64_t row_first, rows;  // the rows of {c, r} that they read
    int64_t row_width;        // of a copied row
    int64_t offset[stem_positions];
};

// The tile's positions are any JT (S = 0), or whole rows of S neighbours: these are found without an offset each, of which
// 14 leave no registers and take as many loads as the inputs.
template <int JT, int KV, int S>
static void stem_row(const WgradJob& job, const StemTile& tile, const float* x, const float* dy, float* sums) {
    VF acc[JT][KV];
#pragma GCC unroll 14
    for (int j = 0; j < JT; ++j)
#pragma GCC unroll 2
        for (int v = 0; v < KV; ++v) acc[j][v] = vf_load(sums + (j * KV + v) * vf_width);
    const int64_t next_block = vf_width == block ? job.dy.plane : vf_width, step = job.columns.step, row = tile.row_width;
    for (int32_t q = 0; q < job.columns.outputs; ++q, x += step, dy += block) {
        VF gradient[KV];
#pragma GCC unroll 2
        for (int v = 0; v < KV; ++v) gradient[v] = vf_load(dy + v * next_block);
#pragma GCC unroll 14
        for (int j = 0; j < JT; ++j) {
            const VF input = vf_set1(S > 0 ? x[j / (S + !S) * row + j % (S + !S)] : x[tile.offset[j]]);
#pragma GCC unroll 2
            for (int v = 0; v < KV; ++v) acc[j][v] = vf_fma(input, gradient[v], acc[j][v]);
        }
    }
#pragma GCC unroll 14
    for (int j = 0; j < JT; ++j)
#pragma GCC unroll 2
        for (int v = 0; v < KV; ++v) vf_store(sums + (j * KV + v) * vf_width, acc[j][v]);
}

typedef void (*StemRow)(const WgradJob&, const StemTile&, const float*, const float*, float*);

template <int JT>
static StemRow find_stem_row(int positions, int vectors) {
    if constexpr (JT == 0) {
        return nullptr;
    } else {
        if (positions < JT) return find_stem_row<JT - 1>(positions, vectors);
        return vectors == 1 ? stem_row<JT, 1, 0> : stem_row<JT, 2, 0>;
    }
}

// Of whole rows of S positions.
template <int S, int ROWS = stem_positions / S>
static StemRow find_stem_rows(int64_t rows, int vectors) {
    if constexpr (ROWS == 0) {
        return nullptr;
    } else {
        if (rows < ROWS) return find_stem_rows<S, ROWS - 1>(rows, vectors);
        return vectors == 1 ? stem_row<ROWS * S, 1, S> : stem_row<ROWS * S, 2, S>;
    }
}

// The positions of a row where tiles are whole rows, else 0.
XB_INLINE int whole_rows(const Axis& columns) {
    const int taps = static_cast<int>(columns.taps);
    const bool neighbours = columns.tap[taps - 1].shift - columns.tap[0].shift == taps - 1;
    return neighbours && (taps == 3 || taps == 7) && taps <= stem_positions ? taps : 0;
}

static StemTile stem_tile_at(const WgradJob& job, int64_t k, int64_t first, int positions) {
    const int64_t taps = job.columns.taps;
    StemTile tile = {};
    tile.first = first;
    tile.positions = positions;
    tile.vectors = group_vectors_at(k, job.dy.c);
    tile.row_first = first / taps;
    tile.rows = (first + tile.positions - 1) / taps - tile.row_first + 1;
    tile.row_width = stem_row_width(job.columns);
    for (int j = 0; j < tile.positions; ++j) {
        const int64_t s = (first + j) % taps, row = (first + j) / taps - tile.row_first;
        tile.offset[j] = row * tile.row_width + job.columns.tap[s].shift - job.columns.tap[0].shift;
    }
    return tile;
}

// How the positions of the filter are cut into tiles of equal size: 27 are 14 + 13, 9 rows of 3 that stay together 3 + 3
// + 3.
struct StemChunks {
    int64_t unit, units, chunks;  // positions that stay together
    int64_t begin(int64_t chunk) const { return units * chunk / chunks * unit; }
};
XB_INLINE StemChunks stem_chunks(const WgradJob& job) {
    const int64_t unit = whole_rows(job.columns) > 0 ? whole_rows(job.columns) : 1;
    const int64_t units = job.x.c * job.rows.taps * job.columns.taps / unit;
    return {unit, units, div_up(units, stem_positions / unit)};
}
constexpr int most_stem_tiles = 4 * max_taps * max_taps / stem_positions + 1;

// Some chunks of a group of output channels. Row by row all of them, while dy's is in the first-level cache.
static void stem_group(const WgradJob& job, const StemChunks& cut, int64_t k, int64_t first, int64_t end) {
    StemTile tiles[most_stem_tiles];
    StemRow add_row[most_stem_tiles];
    const int whole = whole_rows(job.columns);
    for (int64_t chunk = first; chunk < end; ++chunk) {
        const int64_t begin = cut.begin(chunk);
        StemTile& tile = tiles[chunk - first] = stem_tile_at(job, k, begin, static_cast<int>(cut.begin(chunk + 1) - begin));
        add_row[chunk - first] = whole == 3   ? find_stem_rows<3>(tile.rows, tile.vectors)
                                 : whole == 7 ? find_stem_rows<7>(tile.rows, tile.vectors)
                                              : find_stem_row<stem_positions>(tile.positions, tile.vectors);
    }
    const StemTile& last = tiles[end - 1 - first];
    const int64_t tap_size = int64_t{last.vectors} * vf_width, positions = last.first + last.positions - tiles[0].first;
    const int64_t row_first = tiles[0].row_first, rows = last.row_first + last.rows - row_first;
    const float* dy = job.dy.data + k / block * job.dy.plane + k % block;
    sum_leaves(*job.step, job.sums, positions * tap_size, [&](int64_t n, float* sums) {
        for (int32_t p = 0; p < job.rows.outputs; ++p) {
            copy_stem_rows(job.x, job.rows, job.columns, job.x.data + n * job.x.image, row_first, rows, p, job.rows_copy);
            for (int64_t t = 0; t < end - first; ++t)
                add_row[t](job, tiles[t], job.rows_copy + (tiles[t].row_first - row_first) * tiles[t].row_width,
                           dy + n * job.dy.image + p * job.dy.row, sums + (tiles[t].first - tiles[0].first) * tap_size);
        }
    });
    const int64_t filter = cut.units * cut.unit;
    for (int64_t lane = 0; lane < tap_size && k + lane < job.dy.c; ++lane)
        for (int64_t j = 0; j < positions; ++j)
            job.dw[(k + lane) * filter + tiles[0].first + j] = job.sums[j * tap_size + lane];
}

static void stem_wgrad(const WgradJob& job, const Team& team) {
    const int64_t k_padded = div_up(job.dy.c, block) * block, groups = div_up(k_padded, group_width);
    const StemChunks cut = stem_chunks(job);
    const Share mine = share_of(groups * cut.chunks, team);
    for (int64_t t = mine.begin; t < mine.end;) {
        const int64_t group = t / cut.chunks,
                      end = (group + 1) * cut.chunks < mine.end ? (group + 1) * cut.chunks : mine.end;
        stem_group(job, cut, group * group_width, t - group * cut.chunks, end - group * cut.chunks);
        t = end;
    }
    bias_wgrad(job.dy, *job.step, job.db, team);
}

// Floats of a partial sum.
XB_INLINE int64_t stem_wgrad_sums(const Conv2d& conv, int64_t channels) { return channels * conv.r * conv.s * group_width; }

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
