// Where a gather product reads (implicit_gemm.h): how a block walks over the image and over the filter, forward and
// backward, what a row hits of the image, and a thread's place in K. Positions in pixels, offsets in elements.
#pragma once

#include "kernels/conv2d/implicit_gemm/implicit_gemm.h"
#include "kernels/cuda/gemm_shape.h"

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
        mask |= (static_cast<unsigned>(at) < static_cast<unsigned>(source) ? 1u : 0u) << tap;
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
        const bool inside = k_ < end_;
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

}  // namespace xbench
