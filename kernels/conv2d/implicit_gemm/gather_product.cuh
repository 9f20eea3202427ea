// The gather product of implicit_gemm.h: y of a convolution, or dx from dy, as one matrix product of which A is never
// written. The thread's place in K (filter position and channel) is worked out once a stage for all of its rows; a row is a
// pointer and two masks with a bit for each filter row and column that hits the image, so a copy costs a test and an
// addition. A backward product with strides is a dense one for each residue of the result's position by the strides, with
// the taps that hit. vec 4: copies of 16 bytes, for channels that are a multiple of 4. vec 1: of 4 bytes, for any; rows then
// lie in shared memory.
#pragma once

#include "kernels/conv2d/implicit_gemm/gather_place.cuh"
#include "kernels/cuda/gemm_tile.cuh"

namespace xbench {

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
        left_ = p.columns - column;
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
        left_ = column < p.columns ? block.k_end - block.k_begin - first : 0;
    }
    __device__ __forceinline__ void operator()(uint32_t stage, const Place&) {
        const int first = threadIdx.x / across, column = threadIdx.x % across;
#pragma unroll
        for (int j = 0; j < copies; ++j, filters_ += step_) {
            const uint32_t to = vec == 4 ? place_rows_inside<T::columns>(first, column) + j * apart * T::columns * 4
                                         : place_rows_inside<T::columns>(first + j * apart, column / 4) + column % 4 * 4;
            copy_async<4 * vec>(stage + T::a_bytes + to, filters_, j * apart < left_);
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
    if (left >= 4 && reinterpret_cast<uintptr_t>(from) % 16 == 0) return *reinterpret_cast<const float4*>(from);
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
        if (row >= block.rows || left <= 0) return;
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
