// The gather product of implicit_gemm.h: y of a convolution, or dx from dy, as one matrix product of which A is never
// written. The thread's place in K (filter position and channel) is worked out once a stage for all of its rows; a row is a
// pointer and two masks with a bit for each filter row and column that hits the image, so a copy costs a test and an
// addition. A backward product with strides is a dense one for each residue of the result's position by the strides, with
// the taps that hit. vec 4: copies of 16 bytes, for channels that are a multiple of 4. vec 1: of 4 bytes, for any; rows then
// lie in shared memory.
#pragma once

#include "kernels/conv2d/implicit_gemm/implicit_gemm.h"
#include "kernels/cuda/gemm_tile.cuh"

namespace xbench {

__device__ __forceinline__ int divide(int n, const FastDivide& by) {
    return by.divisor == 1 ? n : static_cast<int>(__umulhi(static_cast<uint32_t>(n), by.multiplier) >> by.shift);
}

// One axis of the product that a block computes: result position first + step * i reads, for its tap t, source position
// start + move * i + tap_move * t with filter position filter_first + filter_step * t.
struct Walk {
    int count, first, step, start, move, tap_move, taps, filter_first, filter_step;
};

__device__ inline Walk forward_walk(const Axis& axis) {
    return {axis.result, 0, 1, -axis.pad, axis.stride, axis.dilation, axis.taps, 0, 1};
}

// dx at i gets dy at (i + pad - t * dilation) / stride for the taps t that divide. Residue: i % stride.
__device__ inline Walk backward_walk(const Axis& axis, int residue) {
    Walk walk{};
    walk.count = residue < axis.result ? (axis.result - residue + axis.stride - 1) / axis.stride : 0;
    walk.first = residue, walk.step = axis.stride, walk.move = 1;
    const int from = residue + axis.pad;
    int tap = 0, period = 1;
    while (tap < axis.stride && (from - tap * axis.dilation) % axis.stride != 0) ++tap;
    while (period * axis.dilation % axis.stride != 0) ++period;
    walk.filter_first = tap, walk.filter_step = period;
    walk.taps = tap < axis.taps ? (axis.taps - tap + period - 1) / period : 0;
    walk.start = walk.taps > 0 ? (from - tap * axis.dilation) / axis.stride : 0;
    walk.tap_move = -(period * axis.dilation / axis.stride);
    return walk;
}

// A bit for each tap that hits the source.
__device__ __forceinline__ uint32_t hits(const Walk& walk, int source, int i) {
    uint32_t mask = 0;
    int at = walk.start + walk.move * i;
    for (int tap = 0; tap < walk.taps; ++tap, at += walk.tap_move)
        mask |= (leaves_out(Mutation::no_source_mask) || static_cast<unsigned>(at) < static_cast<unsigned>(source) ? 1u : 0u)
                << tap;
    return mask;
}

struct GatherRow {
    const float* source;  // of tap 0, channel 0: may lie outside of the image
    uint32_t hits_h, hits_w;
};

struct Block {
    Walk h, w;
    int rows, first_row, first_column;
    int k_begin, k_end;
};

__device__ __forceinline__ GatherRow gather_row(const GatherProduct& p, const Block& block, int row) {
    if (row >= block.rows) return {p.source, 0, 0};
    const int image = row / (block.h.count * block.w.count), pixel = row - image * (block.h.count * block.w.count);
    const int i = pixel / block.w.count, j = pixel - i * block.w.count;
    const int y = block.h.start + block.h.move * i, x = block.w.start + block.w.move * j;
    const int64_t image_elements = static_cast<int64_t>(p.h.source) * p.w.source * p.channels;
    const float* const source = p.source + image * image_elements + (static_cast<int64_t>(y) * p.w.source + x) * p.channels;
    return {source, hits(block.h, p.h.source, i), hits(block.w, p.w.source, j)};
}

// A place in K: bits of its taps, and offsets in elements.
struct Place {
    uint32_t bit_h, bit_w;  // 0: past the end
    int source, filter;
};

class PlaceInK {
public:
    __device__ __forceinline__ PlaceInK(const GatherProduct& p, const Block& block, int k) : k_(k), end_(block.k_end) {
        by_taps_w_ = 65536 / max(block.w.taps, 1) + 1;  // exact for taps of up to 32 x 32
        taps_w_ = block.w.taps;
        source_h_ = block.h.tap_move * p.w.source * p.channels;
        source_w_ = block.w.tap_move * p.channels;
        filter_h_ = block.h.filter_step * p.w.taps * p.channels;
        filter_w_ = block.w.filter_step * p.channels;
        filter_ = (block.h.filter_first * p.w.taps + block.w.filter_first) * p.channels;
    }
    // Here, and on to the next stage.
    __device__ __forceinline__ Place next(const GatherProduct& p) {
        const int tap = divide(k_, p.by_channels), channel = k_ - tap * p.channels;
        const int tap_h = tap * by_taps_w_ >> 16, tap_w = tap - tap_h * taps_w_;
        const bool inside = leaves_out(Mutation::no_k_mask) || k_ < end_;
        k_ += k_of_stage;
        return {inside ? 1u << tap_h : 0u, inside ? 1u << tap_w : 0u, tap_h * source_h_ + tap_w * source_w_ + channel,
                filter_ + tap_h * filter_h_ + tap_w * filter_w_ + channel};
    }

private:
    int k_, end_, by_taps_w_, taps_w_, source_h_, source_w_, filter_h_, filter_w_, filter_;
};

__device__ __forceinline__ bool is_hit(const Place& place, uint32_t hits_h, uint32_t hits_w) {
    return (place.bit_h & hits_h) != 0 && (place.bit_w & hits_w) != 0;
}

// Copies a stage of A: the gathered rows. Returns the thread's place in K, past whose end it copies zeros.
template <class T, int vec>
class GatheredPixels;

template <class T>
class GatheredPixels<T, 4> {
    static constexpr int apart = T::threads / 8, rows = T::rows / apart;
    static_assert(apart % 16 == 0 && rows > 0);

public:
    static constexpr int table_bytes = 0;

    __device__ __forceinline__ GatheredPixels(const GatherProduct& p, const Block& block, unsigned char*)
        : p_(p), place_(p, block, block.k_begin + threadIdx.x % 8 * 4) {
        const int first = threadIdx.x / 8;
#pragma unroll
        for (int j = 0; j < rows; ++j) row_[j] = gather_row(p, block, block.first_row + first + j * apart);
        to_[0] = place_k_inside(first, threadIdx.x % 8);
        to_[1] = to_[0] ^ (apart / 4 % 8 << 4);
    }
    __device__ __forceinline__ Place operator()(uint32_t stage) {
        const Place place = place_.next(p_);
#pragma unroll
        for (int j = 0; j < rows; ++j)
            copy_async<16>(stage + to_[j % 2] + j * apart * 128, row_[j].source + place.source,
                           is_hit(place, row_[j].hits_h, row_[j].hits_w));
        return place;
    }

private:
    const GatherProduct& p_;
    PlaceInK place_;
    GatherRow row_[rows];
    uint32_t to_[2];
};

template <class T>
class GatheredPixels<T, 1> {
    static constexpr int warps = T::threads / 32;

public:
    static constexpr int table_bytes = T::rows * sizeof(GatherRow);

    __device__ __forceinline__ GatheredPixels(const GatherProduct& p, const Block& block, unsigned char* table)
        : p_(p), place_(p, block, block.k_begin + threadIdx.x % 32), rows_(reinterpret_cast<GatherRow*>(table)) {
        for (int row = threadIdx.x; row < T::rows; row += T::threads)
            rows_[row] = gather_row(p, block, block.first_row + row);
        __syncthreads();
    }
    __device__ __forceinline__ Place operator()(uint32_t stage) {
        const Place place = place_.next(p_);
        const int k = threadIdx.x % 32;
#pragma unroll 4
        for (int row = threadIdx.x / 32; row < T::rows; row += warps) {
            const GatherRow from = rows_[row];
            copy_async<4>(stage + place_k_inside(row, k / 4) + k % 4 * 4, from.source + place.source,
                          is_hit(place, from.hits_h, from.hits_w));
        }
        return place;
    }

private:
    const GatherProduct& p_;
    PlaceInK place_;
    GatherRow* rows_;
};

// Copies a stage of B: filters whose K is dense in memory.
template <class T, int vec>
class DenseFilters {
    static constexpr int across = k_of_stage / vec, apart = T::threads / across, columns = T::columns / apart;
    static_assert((vec == 1 || apart % 16 == 0) && columns > 0);

public:
    static constexpr bool k_inside = true;

    __device__ __forceinline__ DenseFilters(const GatherProduct& p, const Block& block) {
        const int pitch = p.h.taps * p.w.taps * p.channels, first = threadIdx.x / across;
        const int column = block.first_column + first;
        filters_ = p.filters + static_cast<int64_t>(column) * pitch;
        step_ = static_cast<int64_t>(apart) * pitch;
        left_ = leaves_out(Mutation::no_column_mask) ? T::columns : p.columns - column;
        to_[0] = T::a_bytes + place_k_inside(first, threadIdx.x % across * vec / 4) + threadIdx.x % across * vec % 4 * 4;
        to_[1] = to_[0] ^ (apart / 4 % 8 << 4);
    }
    __device__ __forceinline__ void operator()(uint32_t stage, const Place& place) const {
        const float* filter = filters_ + place.filter;
#pragma unroll
        for (int j = 0; j < columns; ++j, filter += step_) {
            const uint32_t to = vec == 4 ? to_[j % 2] + j * apart * 128 : odd_place(j);
            copy_async<4 * vec>(stage + to, filter, j * apart < left_ && place.bit_h != 0);
        }
    }

private:
    __device__ __forceinline__ static uint32_t odd_place(int j) {
        const int k = threadIdx.x % 32;
        return T::a_bytes + place_k_inside(threadIdx.x / 32 + j * apart, k / 4) + k % 4 * 4;
    }
    const float* filters_;
    int64_t step_;
    int left_;
    uint32_t to_[2];
};

// Filters of one position {K, columns}, whose columns are dense: for gradients of linear layers and of 1x1 filters.
template <class T, int vec>
class CrossedFilters {
    static constexpr int across = T::columns / vec, apart = T::threads / across, copies = k_of_stage / apart;
    static_assert(apart > 0 && copies > 0 && (vec == 1 || apart % 4 == 0));

public:
    static constexpr bool k_inside = false;

    __device__ __forceinline__ CrossedFilters(const GatherProduct& p, const Block& block) {
        const int column = block.first_column + threadIdx.x % across * vec, first = threadIdx.x / across;
        filters_ = p.filters + static_cast<int64_t>(block.k_begin + first) * p.columns + column;
        step_ = static_cast<int64_t>(apart) * p.columns;
        left_ = column < p.columns || leaves_out(Mutation::no_column_mask) ? block.k_end - block.k_begin - first : 0;
    }
    __device__ __forceinline__ void operator()(uint32_t stage, const Place&) {
        const int first = threadIdx.x / across, column = threadIdx.x % across;
#pragma unroll
        for (int j = 0; j < copies; ++j, filters_ += step_) {
            const uint32_t to = vec == 4 ? place_rows_inside<T::columns>(first, column) + j * apart * T::columns * 4
                                         : place_rows_inside<T::columns>(first + j * apart, column / 4) + column % 4 * 4;
            copy_async<4 * vec>(stage + T::a_bytes + to, filters_, leaves_out(Mutation::no_k_mask) || j * apart < left_);
        }
        left_ -= k_of_stage;
    }

private:
    const float* filters_;
    int64_t step_;
    int left_;
};

// The block's part of the work; false: none.
template <class T>
__device__ __forceinline__ bool find_block(const GatherProduct& p, Block& block) {
    const int tiles_of_columns = (p.columns + T::columns - 1) / T::columns;
    const int split = p.backward ? 0 : blockIdx.y, residue = p.backward ? blockIdx.y : 0;
    block.h = p.backward ? backward_walk(p.h, residue / p.w.stride) : forward_walk(p.h);
    block.w = p.backward ? backward_walk(p.w, residue % p.w.stride) : forward_walk(p.w);
    block.rows = p.images * block.h.count * block.w.count;
    block.first_row = static_cast<int>(blockIdx.x) / tiles_of_columns * T::rows;
    block.first_column = static_cast<int>(blockIdx.x) % tiles_of_columns * T::columns;
    const int k = block.h.taps * block.w.taps * p.channels;
    block.k_begin = split * p.split_k;
    block.k_end = p.split_k > 0 ? min(k, block.k_begin + p.split_k) : k;
    return block.first_row < block.rows;
}

// Where a row of the result lies, in elements.
__device__ __forceinline__ int64_t place_of_row(const GatherProduct& p, const Block& block, int row) {
    if (block.h.step == 1 && block.w.step == 1) return static_cast<int64_t>(row) * p.columns;
    const int pixels = block.h.count * block.w.count, image = row / pixels, pixel = row - image * pixels;
    const int i = pixel / block.w.count, j = pixel - i * block.w.count;
    const int64_t y = block.h.first + block.h.step * i, x = block.w.first + block.w.step * j;
    return ((image * static_cast<int64_t>(p.h.result) + y) * p.w.result + x) * p.columns;
}

__device__ __forceinline__ float finish(float sum, float bias, bool relu) {
    sum += bias;
    return relu && sum < 0 ? 0.0f : sum;
}
__device__ __forceinline__ float4 finish(float4 sum, float4 bias, bool relu) {
    return make_float4(finish(sum.x, bias.x, relu), finish(sum.y, bias.y, relu), finish(sum.z, bias.z, relu),
                       finish(sum.w, bias.w, relu));
}

// Four neighbours of a row of which `left` are there.
__device__ __forceinline__ void store_four(float* to, float4 value, int left, bool vectors) {
    if (vectors || left >= 4) {
        if (vectors) {
            *reinterpret_cast<float4*>(to) = value;
        } else {
            to[0] = value.x, to[1] = value.y, to[2] = value.z, to[3] = value.w;
        }
        return;
    }
    to[0] = value.x;
    if (left > 1) to[1] = value.y;
    if (left > 2) to[2] = value.z;
}
__device__ __forceinline__ float4 load_four(const float* from, int left) {
    float4 value = make_float4(0, 0, 0, 0);
    if (from == nullptr || left <= 0) return value;
    value.x = from[0];
    if (left > 1) value.y = from[1];
    if (left > 2) value.z = from[2];
    if (left > 3) value.w = from[3];
    return value;
}

template <class T>
__device__ __forceinline__ void store_product(const GatherProduct& p, const Block& block, const Sums<T>& sums) {
    const bool split = p.split_k > 0, vectors = p.result_vectors;
    float* const result = p.result + (split ? static_cast<int64_t>(blockIdx.y) * block.rows * p.columns : 0);
    const int warp = threadIdx.x >> 5;
    const int column = block.first_column + warp / T::warps_of_rows * T::warp_columns + 4 * (threadIdx.x & 3);
    const float* const bias = split || p.bias == nullptr ? nullptr : p.bias + column;
    const float4 biases[2] = {load_four(bias, p.columns - column),
                              load_four(bias == nullptr ? bias : bias + 16, p.columns - column - 16)};
    for_each_four<T>(sums, [&](int row, int at, float4 value) {
        row += block.first_row;
        const int left = p.columns - block.first_column - at;
        if ((row >= block.rows && !leaves_out(Mutation::no_store_mask)) || left <= 0) return;
        const float4 all = split ? value : finish(value, biases[at >> 4 & 1], p.relu);
        store_four(result + place_of_row(p, block, row) + block.first_column + at, all, left, vectors);
    });
}

template <Product product, class T, int vec, template <class, int> class Filters>
__device__ __forceinline__ void gather_product(const GatherProduct& p) {
    extern __shared__ __align__(128) unsigned char ring[];
    Block block;
    if (!find_block<T>(p, block)) return;
    GatheredPixels<T, vec> pixels(p, block, ring + T::ring_bytes);
    Filters<T, vec> filters(p, block);
    Sums<T> sums;
    const int steps = (block.k_end - block.k_begin + k_of_stage - 1) / k_of_stage;
    multiply_all<T, product, true, Filters<T, vec>::k_inside>(sums, steps, shared_address(ring), [&](uint32_t stage) {
        const Place place = pixels(stage);
        filters(stage, place);
    });
    store_product<T>(p, block, sums);
}

}  // namespace xbench
