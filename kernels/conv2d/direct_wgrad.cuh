// The direct f32 gradient of 3x3 filters with stride 1: what its kernels share. A block walks down rows of an image with a
// few rows of x and dy in shared memory; each row of x is read once, for the rows of x there are a ring. A thread keeps 36
// sums in registers: 288 multiply-adds for 20 loads of 128 bits.
//
// Where dy comes from is the caller's: a class with load(to, image, filter, row, ...) that writes rows of dy.
#pragma once

#include "kernels/conv2d/direct_conv.cuh"
#include "kernels/conv2d/direct_wgrad_tile.h"
#include "kernels/cuda/block_sum.cuh"
#include "kernels/kernel.h"

namespace xbench {

// The thread's part of the block's tile.
struct WgradPlace {
    int group, channel, strip, slice;
    int first_filter, first_channel;
    // Threads behind the last filter group only load and add up biases.
    __device__ bool idle(const WgradTile& t) const { return group >= t.filter_groups; }
    __device__ explicit WgradPlace(const WgradTile& t) {
        const int thread = static_cast<int>(threadIdx.x), lane = thread % t.lanes();
        strip = lane % t.strips;
        slice = lane / t.strips;
        channel = thread / t.lanes() % t.channels;
        group = thread / t.lanes() / t.channels;
        first_filter = static_cast<int>(blockIdx.x) % t.filter_blocks * t.filters();
        first_channel = static_cast<int>(blockIdx.x) / t.filter_blocks * t.channels;
    }
};

struct WgradSums {
    float v[filters_of_group][wgrad_taps];
};

// Rows `skip` .. of the ring: row j holds row first_row - pad + j of x, in slot (position + j) % ring.
template <int pad>
__device__ __forceinline__ void load_ring(float* xs, const float* x, const ConvShape& s, const WgradTile& t,
                                          const WgradPlace& place, int first_row, int position, int skip) {
    constexpr int lead = DirectWindow<pad>::lead, quads_beside = DirectWindow<pad>::quads - 1;
    const int quads = t.quads + quads_beside, rows = t.ring() - skip, width = t.x_vectors ? quads : quads * wgrad_quad;
    for (int at = static_cast<int>(threadIdx.x); at < t.channels * rows * width; at += t.threads()) {
        const int line = at / width, channel = line / rows, row = skip + line - channel * rows;
        const int h = first_row - pad + row, c = place.first_channel + channel;
        float* const to = xs + channel * t.x_plane + (position + row) % t.ring() * t.x_pitch;
        const bool inside = c < s.c && static_cast<unsigned>(h) < static_cast<unsigned>(s.h);
        const float* const from = x + (static_cast<int64_t>(c) * s.h + h) * s.w;
        if (t.x_vectors) {
            const int w = (at - line * width) * wgrad_quad - lead;
            const bool has = inside && static_cast<unsigned>(w) < static_cast<unsigned>(s.w);
            *reinterpret_cast<float4*>(to + w + lead) =
                has ? *reinterpret_cast<const float4*>(from + w) : make_float4(0, 0, 0, 0);
        } else {
            const int w = at - line * width - lead;
            to[w + lead] = inside && static_cast<unsigned>(w) < static_cast<unsigned>(s.w) ? from[w] : 0.0f;
        }
    }
}

// Two rows of dy of a strip of four columns against the four rows of x that they read.
template <int pad>
__device__ __forceinline__ void add_strip(WgradSums& sums, const float* xs, const float* dys, const WgradTile& t, int slot) {
    constexpr int quads = DirectWindow<pad>::quads, shift = DirectWindow<pad>::shift;
    PixelRow<quads> rows[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        rows[j].load(xs + slot * t.x_pitch);
        slot = slot + 1 == t.ring() ? 0 : slot + 1;
    }
#pragma unroll
    for (int i = 0; i < rows_of_slice; ++i)
#pragma unroll
        for (int k = 0; k < filters_of_group; ++k) {
            const float4 four = load_shared_quad(dys + k * t.filter_groups * t.dy_plane + i * t.dy_pitch);
            const float dy[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
            for (int r = 0; r < 3; ++r)
#pragma unroll
                for (int q = 0; q < 3; ++q)
#pragma unroll
                    for (int j = 0; j < wgrad_quad; ++j)
                        sums.v[k][3 * r + q] = fmaf(dy[j], rows[i + r].v[shift + j + q], sums.v[k][3 * r + q]);
        }
}

// The sum of the rows of dy in shared memory for filter threadIdx.x / bias_lanes, this lane's quads of it.
__device__ __forceinline__ float bias_of_rows(const float* dys, const WgradTile& t) {
    const int filter = static_cast<int>(threadIdx.x) / t.bias_lanes, lane = static_cast<int>(threadIdx.x) % t.bias_lanes;
    float sum = 0;
    if (filter >= t.filters()) return sum;
    for (int row = 0; row < t.rows(); ++row)
        for (int q = lane; q < t.quads; q += t.bias_lanes) {
            const float4 four = load_shared_quad(dys + filter * t.dy_plane + row * t.dy_pitch + q * wgrad_quad);
            sum += (four.x + four.y) + (four.z + four.w);
        }
    return sum;
}

// The sums of lanes that share a (filter group, channel), or a filter: of neighbouring threads of a warp.
__device__ __forceinline__ float sum_of_lanes(float value, int lanes) {
    for (int distance = lanes / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(whole_warp, value, distance);
    return value;
}

// partial{chunks, k, (tap, channel) and bias}
__device__ __forceinline__ void store_wgrad(float* partial, const WgradSums& sums, const ConvShape& s, const WgradTile& t,
                                            const WgradPlace& place, int chunk) {
    const int64_t columns = wgrad_taps * s.c + 1;
    const int channel = place.first_channel + place.channel;
#pragma unroll
    for (int k = 0; k < filters_of_group; ++k) {
        const int filter = place.first_filter + place.group + k * t.filter_groups;
        float* const to = partial + (static_cast<int64_t>(chunk) * s.k + filter) * columns + channel;
        const bool mine = place.strip == 0 && place.slice == 0 && channel < s.c && filter < s.k && !place.idle(t);
#pragma unroll
        for (int tap = 0; tap < wgrad_taps; ++tap) {
            const float sum = sum_of_lanes(sums.v[k][tap], t.lanes());
            if (mine) to[tap * s.c] = sum;
        }
    }
}

__device__ __forceinline__ void store_bias(float* partial, float bias, const ConvShape& s, const WgradTile& t,
                                           const WgradPlace& place, int chunk) {
    const float sum = sum_of_lanes(bias, t.bias_lanes);
    const int filter = static_cast<int>(threadIdx.x) / t.bias_lanes, k = place.first_filter + filter;
    if (static_cast<int>(threadIdx.x) % t.bias_lanes == 0 && filter < t.filters() && k < s.k)
        partial[(static_cast<int64_t>(chunk) * s.k + k + 1) * (wgrad_taps * s.c + 1) - 1] = sum;
}

// Blocks: (tiles of filters and channels, 1, chunks): a chunk is some rows of an image, or a leaf.
template <int pad, class Gradient>
__device__ __forceinline__ void wgrad_of_chunk(const float* x, const Gradient& gradient, float* partial, const ConvShape& s,
                                               const WgradTile& t, const StepContext* step) {
    extern __shared__ float4 direct_shared[];
    float* const xs = reinterpret_cast<float*>(direct_shared);
    float* const dys = xs + t.channels * t.x_plane;
    const int chunk = static_cast<int>(blockIdx.z), image = chunk / t.parts;
    if (t.of_leaves && chunk >= step->leaves) return;
    const int first_image = t.of_leaves ? step->leaf_begin[chunk] : image;
    const int end_image = t.of_leaves ? step->leaf_begin[chunk + 1] : image + 1;
    const int first_row = t.of_leaves ? 0 : (chunk - image * t.parts) * t.rows_of_part;
    const int end_row = t.of_leaves ? s.p : min(first_row + t.rows_of_part, s.p);
    const WgradPlace place(t);
    const bool bias = place.first_channel == 0;
    WgradSums sums = {};
    float bias_sum = 0;
    for (int n = first_image; n < end_image; ++n)
        for (int row = first_row; row < end_row; row += t.rows()) {
            const int position = (row - first_row) % t.ring();
            __syncthreads();  // everybody has read what is overwritten
            load_ring<pad>(xs, x + static_cast<int64_t>(n) * s.c * s.h * s.w, s, t, place, row, position,
                           row == first_row ? 0 : 2);
            gradient.load(dys, s, t, place, n, row, end_row);
            __syncthreads();
            const float* const mine = dys + place.group * t.dy_plane + rows_of_slice * place.slice * t.dy_pitch;
            const int slot = (position + rows_of_slice * place.slice) % t.ring();
            for (int q = place.idle(t) ? t.quads : place.strip; q < t.quads; q += t.strips)
                add_strip<pad>(sums, xs + place.channel * t.x_plane + q * wgrad_quad, mine + q * wgrad_quad, t, slot);
            if (bias) bias_sum += bias_of_rows(dys, t);
        }
    store_wgrad(partial, sums, s, t, place, chunk);
    if (bias) store_bias(partial, bias_sum, s, t, place, chunk);
}

}  // namespace xbench
