// Images in nhwc as the threads of a block share them (nhwc_walk.h): where a thread is, its channels, coefficients of
// channels, and sums over a block's items. Blocks: (parts of images, groups of channels).
#pragma once

#include "kernels/cuda/nhwc_walk.h"
#include "kernels/cuda/quad.cuh"

namespace xbench {

// Neighbouring channels of a pixel.
template <int vec>
struct Channels {
    float v[vec];
};

template <int vec>
__device__ __forceinline__ Channels<vec> load_channels(const float* from) {
    if constexpr (vec == 4) {
        const float4 four = *reinterpret_cast<const float4*>(from);
        return {{four.x, four.y, four.z, four.w}};
    } else {
        return {{*from}};
    }
}
template <int vec>
__device__ __forceinline__ void store_channels(float* to, const Channels<vec>& c) {
    if constexpr (vec == 4)
        store_quad(to, make_float4(c.v[0], c.v[1], c.v[2], c.v[3]));
    else
        *to = c.v[0];
}

// The same of a byte each.
template <int vec>
struct Bytes {
    int v[vec];
};
template <int vec>
__device__ __forceinline__ Bytes<vec> load_bytes(const uint8_t* from) {
    if constexpr (vec == 4) {
        const uchar4 four = *reinterpret_cast<const uchar4*>(from);
        return {{four.x, four.y, four.z, four.w}};
    } else {
        return {{*from}};
    }
}
template <int vec>
__device__ __forceinline__ void store_bytes(uint8_t* to, const Bytes<vec>& b) {
    const auto byte = [&](int i) { return static_cast<uint8_t>(b.v[i]); };
    if constexpr (vec == 4)
        *reinterpret_cast<uchar4*>(to) = make_uchar4(byte(0), byte(1), byte(2), byte(3));
    else
        *to = byte(0);
}

template <int vec>
struct NhwcPlace {
    int channel, row, first, end;  // of the thread: its first channel, its row of threads; the block's items
    int64_t image;
    __device__ explicit NhwcPlace(const NhwcWalk& walk) {
        const int thread = static_cast<int>(threadIdx.x), part = static_cast<int>(blockIdx.x) % walk.parts;
        row = thread / walk.units;
        channel = (static_cast<int>(blockIdx.y) * walk.units + thread - row * walk.units) * vec;
        image = static_cast<int>(blockIdx.x) / walk.parts;
        first = part * walk.part;
        end = min(first + walk.part, walk.items);
    }
    // Calls body(item) for the thread's items, in ascending order.
    template <class Body>
    __device__ __forceinline__ void for_each_item(const NhwcWalk& walk, Body&& body) const {
        if (channel >= walk.channels) return;
        for (int item = first + row; item < end; item += walk.rows) body(item);
    }
    // Of the thread's first channel of pixel `item` of images of `items` pixels.
    __device__ __forceinline__ int64_t element(const NhwcWalk& walk, int64_t items, int item) const {
        return (image * items + item) * walk.channels + channel;
    }
};

// What a thread needs to know of its channels, `fields` numbers of each: the block reads them once. of_channel(c, numbers)
// makes them. All threads of the block call it; shared memory is free again behind it. {fields, units * vec} floats.
template <int vec, int fields>
struct OfChannels {
    float v[fields][vec];
};
template <int vec, int fields, class Make>
__device__ __forceinline__ OfChannels<vec, fields> of_channels(const NhwcWalk& walk, const NhwcPlace<vec>& place,
                                                               Make&& of_channel) {
    extern __shared__ double nhwc_shared[];
    auto* const numbers = reinterpret_cast<float*>(nhwc_shared);
    const int width = walk.units * vec, begin = static_cast<int>(blockIdx.y) * width;
    for (int c = static_cast<int>(threadIdx.x); c < width; c += static_cast<int>(blockDim.x)) {
        float made[fields] = {};
        if (begin + c < walk.channels) of_channel(begin + c, made);
#pragma unroll
        for (int f = 0; f < fields; ++f) numbers[f * width + c] = made[f];
    }
    __syncthreads();
    OfChannels<vec, fields> mine;
#pragma unroll
    for (int f = 0; f < fields; ++f) {
        const float* const from = numbers + f * width + place.channel - begin;
        if constexpr (vec == 4) {
            const float4 four = load_shared_quad(from);
            mine.v[f][0] = four.x, mine.v[f][1] = four.y, mine.v[f][2] = four.z, mine.v[f][3] = four.w;
        } else {
            mine.v[f][0] = *from;
        }
    }
    __syncthreads();
    return mine;
}

// Sums of `fields` numbers of each channel over the block's threads, in a fixed tree over its rows. store(field, channel,
// sum) is called once for each. {fields * vec, threads} of T in shared memory, in which nothing may be read any more.
template <int vec, int fields, class T, class Store>
__device__ __forceinline__ void sum_rows(const NhwcWalk& walk, const NhwcPlace<vec>& place, const T (&mine)[fields][vec],
                                         Store&& store) {
    extern __shared__ double nhwc_shared[];
    auto* const sums = reinterpret_cast<T*>(nhwc_shared);
    const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
#pragma unroll
    for (int i = 0; i < fields * vec; ++i) sums[i * threads + thread] = mine[i / vec][i % vec];
    int half = 1;
    while (2 * half < walk.rows) half *= 2;
    for (; half > 0 && walk.rows > 1; half /= 2) {
        __syncthreads();
        if (place.row >= half || place.row + half >= walk.rows) continue;
#pragma unroll
        for (int i = 0; i < fields * vec; ++i) sums[i * threads + thread] += sums[i * threads + thread + half * walk.units];
    }
    __syncthreads();
    const int width = walk.units * vec, begin = static_cast<int>(blockIdx.y) * width;
    for (int at = thread; at < fields * width; at += threads) {
        const int field = at / width, c = at - field * width;
        if (begin + c < walk.channels) store(field, begin + c, sums[(field * vec + c % vec) * threads + c / vec]);
    }
}

// A kernel for channels that are a multiple of four at addresses of 16 bytes, and one for any: `function` with each vec.
// Four blocks at once leave ptxas 64 registers; left alone it takes 32 for some kernels, and spills.
#define XB_NHWC_KERNEL(name, parameters, function, arguments)                                                        \
    extern "C" __global__ void __launch_bounds__(nhwc_threads, 1) name##_quads parameters { function<4> arguments; } \
    extern "C" __global__ void __launch_bounds__(nhwc_threads, 1) name##_ones parameters { function<1> arguments; }

}  // namespace xbench
