// The direct f32 convolution with 3x3 filters and stride 1: what its kernels share. A block keeps a tile of x and its
// filters in shared memory; a thread makes 2 rows x 4 columns of outputs of 8 filters in registers: 576 multiply-adds for
// about 30 loads of 128 bits a channel.
//
// A row of x in shared memory begins `lead` columns left of the tile: a quad where there is padding, so that quads of global
// memory stay quads. A thread's window of six columns begins `shift` columns into its quads.
#pragma once

#include "kernels/conv2d/direct_tile.h"
#include "kernels/cuda/map.cuh"

namespace xbench {

// By padding: 0 -> window at column 0, 1 -> at 3 of the quad before, 2 -> at 2.
template <int pad>
struct DirectWindow {
    static constexpr int lead = pad == 0 ? 0 : quad, shift = lead - pad;
    static constexpr int quads = (shift + 6 + quad - 1) / quad;
};

// Where a thread and its block are.
struct DirectPlace {
    int column, row_pair, filter_group;  // of the thread; row_pair may lie outside of the tile in the last warp
    int first_column, first_filter;
    int64_t image;
    __device__ explicit DirectPlace(const DirectTile& t) {
        const int position = static_cast<int>(threadIdx.x) % t.positions;
        filter_group = static_cast<int>(threadIdx.x) / t.positions;
        row_pair = position / t.columns;
        column = position - row_pair * t.columns;
        first_column = static_cast<int>(blockIdx.x) % t.tiles_across * t.columns * quad;
        first_filter = static_cast<int>(blockIdx.y) * t.filters();
        image = blockIdx.z;
    }
    __device__ bool idle(const DirectTile& t) const { return row_pair >= t.row_pairs; }
};

// Channels first_channel .. of rows first_row - pad .. of the tile into shared memory, zeros around the image: a quad at a
// time, or an element, as global memory allows.
template <int pad>
__device__ __forceinline__ void load_pixels(float* xs, const float* x, const ConvShape& s, const DirectTile& t,
                                            int first_channel, int first_row, int first_column) {
    constexpr int lead = DirectWindow<pad>::lead, quads_beside = DirectWindow<pad>::quads - 1;
    const int quads = t.columns + quads_beside, rows = t.rows() + 2, width = t.x_vectors ? quads : quad * quads;
    for (int at = static_cast<int>(threadIdx.x); at < t.channels * rows * width; at += t.threads()) {
        const int line = at / width, channel = line / rows, h = first_row - pad + line - channel * rows;
        const int column = (at - line * width) * (t.x_vectors ? quad : 1), w = first_column - lead + column;
        const bool inside = first_channel + channel < s.c && static_cast<unsigned>(h) < static_cast<unsigned>(s.h) &&
                            static_cast<unsigned>(w) < static_cast<unsigned>(s.w);
        const float* const from = x + (static_cast<int64_t>(first_channel + channel) * s.h + h) * s.w + w;
        float* const to = xs + line * t.pitch + column;
        if (t.x_vectors)
            *reinterpret_cast<float4*>(to) = inside ? *reinterpret_cast<const float4*>(from) : make_float4(0, 0, 0, 0);
        else
            *to = inside ? *from : 0.0f;
    }
}

// Which weight belongs to (channel read, tap, filter made): forward, or turned round for the gradient of the input.
template <bool gradient>
__device__ __forceinline__ int64_t weight_index(const ConvShape& s, int channel, int tap, int filter) {
    if (gradient) return (static_cast<int64_t>(channel) * s.k + filter) * direct_taps + (direct_taps - 1 - tap);
    return (static_cast<int64_t>(filter) * s.c + channel) * direct_taps + tap;
}

// ws{channel, tap, filter}. Neighbouring threads take taps, then channels, of a filter forward; of a channel for the
// gradient: as they lie in memory.
template <bool gradient>
__device__ __forceinline__ void load_weights(float* ws, const float* w, const ConvShape& s, const DirectTile& t,
                                             int first_channel, int channels, int first_filter) {
    const int depth = channels * direct_taps, filters = t.filters();
    for (int at = static_cast<int>(threadIdx.x); at < (depth + 7) / 8 * 8 * filters; at += t.threads()) {
        const int low = at % 8, filter = at / 8 % filters, d = at / 8 / filters * 8 + low;
        if (d >= depth) continue;
        const int channel = d / direct_taps, tap = d - channel * direct_taps;
        const bool inside = first_filter + filter < s.k && first_channel + channel < s.c;
        ws[d * t.filter_pitch() + filter] =
            inside ? w[weight_index<gradient>(s, first_channel + channel, tap, first_filter + filter)] : 0.0f;
    }
}

// Outputs of a thread: rows, columns, filters.
struct DirectSums {
    float v[rows_of_thread][quad][filters_of_thread];
    __device__ void clear() {
#pragma unroll
        for (int i = 0; i < rows_of_thread; ++i)
#pragma unroll
            for (int j = 0; j < quad; ++j)
#pragma unroll
                for (int k = 0; k < filters_of_thread; ++k) v[i][j][k] = 0;
    }
};

template <int quads>
struct PixelRow {
    float v[quads * quad];
    __device__ __forceinline__ void load(const float* from) {
#pragma unroll
        for (int i = 0; i < quads; ++i) {
            const float4 four = load_shared_quad(from + quad * i);
            v[quad * i] = four.x, v[quad * i + 1] = four.y, v[quad * i + 2] = four.z, v[quad * i + 3] = four.w;
        }
    }
};

// One channel: rows r and r + 1 of the window meet the taps of filter row r.
template <int pad>
__device__ __forceinline__ void add_channel(DirectSums& sums, const float* xs, int pitch, const float* ws,
                                            int filter_pitch) {
    constexpr int quads = DirectWindow<pad>::quads, shift = DirectWindow<pad>::shift;
    PixelRow<quads> rows[2];
    rows[0].load(xs);
#pragma unroll
    for (int r = 0; r < 3; ++r) {
        rows[(r + 1) % 2].load(xs + (r + 1) * pitch);
#pragma unroll
        for (int s = 0; s < 3; ++s) {
            const float* const from = ws + (3 * r + s) * filter_pitch;
            const float4 low = load_shared_quad(from), high = load_shared_quad(from + 4);
            const float w[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
            for (int i = 0; i < rows_of_thread; ++i)
#pragma unroll
                for (int j = 0; j < quad; ++j)
#pragma unroll
                    for (int k = 0; k < filters_of_thread; ++k)
                        sums.v[i][j][k] = fmaf(rows[(r + i) % 2].v[shift + j + s], w[k], sums.v[i][j][k]);
        }
    }
}

// The sums of a tile whose first row is `first_row`, over all channels. Meets barriers; all threads call it. The filters are
// in shared memory behind the pixels, and were loaded before where they are resident.
template <int pad, bool gradient>
__device__ __forceinline__ void convolve_tile(DirectSums& sums, float* shared, const float* x, const float* w,
                                              const ConvShape& s, const DirectTile& t, const DirectPlace& place,
                                              int first_row) {
    float* const xs = shared;
    float* const ws = shared + t.pixel_floats;
    const float* const window = xs + rows_of_thread * place.row_pair * t.pitch + quad * place.column;
    const float* const filters = ws + filters_of_thread * place.filter_group;
    sums.clear();
    for (int channel = 0; channel < s.c; channel += t.channels) {
        __syncthreads();  // everybody has read what is overwritten
        load_pixels<pad>(xs, x, s, t, channel, first_row, place.first_column);
        if (!t.resident) load_weights<gradient>(ws, w, s, t, channel, t.channels, place.first_filter);
        __syncthreads();
        const float* const mine = filters + (t.resident ? channel * direct_taps * t.filter_pitch() : 0);
        const int channels = place.idle(t) ? 0 : min(t.channels, s.c - channel);  // idle threads go on to the barrier
        for (int c = 0; c < channels; ++c)
            add_channel<pad>(sums, window + c * (t.rows() + 2) * t.pitch, t.pitch, mine + c * direct_taps * t.filter_pitch(),
                             t.filter_pitch());
    }
}

// Calls finish(sums, place, tile, shared memory of the pixels) for each tile of the block, by all threads.
template <int pad, bool gradient, class Finish>
__device__ __forceinline__ void for_each_tile(const float* x, const float* w, const ConvShape& s, const DirectTile& t,
                                              Finish&& finish) {
    extern __shared__ float4 direct_shared[];
    float* const shared = reinterpret_cast<float*>(direct_shared);
    const DirectPlace place(t);
    if (t.resident) load_weights<gradient>(shared + t.pixel_floats, w, s, t, 0, s.c, place.first_filter);
    x += place.image * s.c * s.h * s.w;
    const int first = static_cast<int>(blockIdx.x) / t.tiles_across * t.tiles_of_block;
    const int last = min(first + t.tiles_of_block, t.tiles_down);
    DirectSums sums;
    for (int tile = first; tile < last; ++tile) {
        convolve_tile<pad, gradient>(sums, shared, x, w, s, t, place, tile * t.rows());
        finish(sums, place, tile, shared);
    }
}

}  // namespace xbench
