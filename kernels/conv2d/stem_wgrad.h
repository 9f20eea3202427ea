// The gradient of the filters of a first layer: x plain with up to 4 channels, dy nchw16c. With so few channels a tile spans
// positions of the filter instead: up to stem_positions of the c*r*s weights of 32 output channels in registers, 28
// multiply-adds for 2 + 14 loads with AVX-512, with AVX2 6 of 16. The input rows of one output row are first copied side by
// side with their padding, so that every position is inside.
#pragma once

#include "kernels/conv2d/blocked_wgrad.h"
#include "kernels/conv2d/stem_rows.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

constexpr int stem_positions = vf_registers == 32 ? 14 : 6;

// dw[k .. ][first .. first + positions - 1], the positions counted over {c, r, s}.
struct StemTile {
    int64_t k, first;
    int positions, vectors;
    int64_t row_first, rows;  // the rows of {c, r} that they read
    int64_t row_width;        // of a copied row
    int64_t offset[stem_positions];
};

template <int JT, int KV>
static void stem_row(const WgradJob& job, const StemTile& tile, const float* x, const float* dy, float* sums) {
    VF acc[JT][KV];
#pragma GCC unroll 14
    for (int j = 0; j < JT; ++j)
#pragma GCC unroll 2
        for (int v = 0; v < KV; ++v) acc[j][v] = vf_load(sums + (j * KV + v) * vf_width);
    const int64_t next_block = vf_width == block ? job.dy.plane : vf_width, step = job.columns.step;
    for (int32_t q = 0; q < job.columns.outputs; ++q, x += step, dy += block) {
        VF gradient[KV];
#pragma GCC unroll 2
        for (int v = 0; v < KV; ++v) gradient[v] = vf_load(dy + v * next_block);
#pragma GCC unroll 14
        for (int j = 0; j < JT; ++j) {
            const VF input = vf_set1(x[tile.offset[j]]);
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
        return vectors == 1 ? stem_row<JT, 1> : stem_row<JT, 2>;
    }
}

static void stem_tile(const WgradJob& job, const StemTile& tile) {
    const int64_t tap_size = int64_t{tile.vectors} * vf_width;
    const StemRow add_row = find_stem_row<stem_positions>(tile.positions, tile.vectors);
    const float* dy = job.dy.data + tile.k / block * job.dy.plane + tile.k % block;
    sum_leaves(*job.step, job.sums, tile.positions * tap_size, [&](int64_t n, float* sums) {
        for (int32_t p = 0; p < job.rows.outputs; ++p) {
            copy_stem_rows(job.x, job.rows, job.columns, job.x.data + n * job.x.image, tile.row_first, tile.rows, p,
                           job.rows_copy);
            add_row(job, tile, job.rows_copy, dy + n * job.dy.image + p * job.dy.row, sums);
        }
    });
    const int64_t filter = job.x.c * job.rows.taps * job.columns.taps;
    for (int64_t lane = 0; lane < tap_size && tile.k + lane < job.dy.c; ++lane)
        for (int64_t j = 0; j < tile.positions; ++j)
            job.dw[(tile.k + lane) * filter + tile.first + j] = job.sums[j * tap_size + lane];
}

static StemTile stem_tile_at(const WgradJob& job, int64_t k, int64_t first) {
    const int64_t taps = job.columns.taps, filter = job.x.c * job.rows.taps * taps;
    StemTile tile = {};
    tile.k = k;
    tile.first = first;
    tile.positions = static_cast<int>(filter - first < stem_positions ? filter - first : stem_positions);
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

static void stem_wgrad(const WgradJob& job, const Team& team) {
    const int64_t k_padded = div_up(job.dy.c, block) * block, groups = div_up(k_padded, group_width);
    const int64_t filter = job.x.c * job.rows.taps * job.columns.taps, chunks = div_up(filter, stem_positions);
    const Share tiles = share_of(groups * chunks, team);
    for (int64_t t = tiles.begin; t < tiles.end; ++t) {
        const int64_t chunk = t % chunks;  // chunks of equal size: 27 positions are 14 + 13
        const int64_t first = filter * chunk / chunks;
        StemTile tile = stem_tile_at(job, t / chunks * group_width, first);
        tile.positions = static_cast<int>(filter * (chunk + 1) / chunks - first);
        stem_tile(job, tile);
    }
    bias_wgrad(job.dy, *job.step, job.db, team);
}

XB_INLINE int64_t stem_wgrad_sums() { return int64_t{stem_positions} * group_width; }

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
