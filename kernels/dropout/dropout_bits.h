// The random numbers of a dropout (Dropout in core/ops.h), a vector at a time, for dropout itself and for the poolings that
// one is folded into.
//   DropoutBits        one dropout in one step: the image's key, keep or drop
//   for_channel_pixels numbers of neighbouring pixels of vf_width channels: nchw16c
//   RowMask            the numbers of one row of an image, of one channel or of 16, in the thread's workspace
// For *.isa.cpp, like kernels/simd/simd.h.
#pragma once

#include "kernels/dropout/philox_lanes.h"
#include "kernels/simd/chunk.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {

struct DropoutBits {
    float p, scale;
    uint64_t stream;
    const StepContext* step;
    uint64_t key(int64_t n) const { return step->seed ^ (static_cast<uint64_t>(step->sample_ids[n]) * 0x9E3779B97F4A7C15u); }
    VM dropped(VF u) const { return vm_greater(vf_set1(p), u); }
    VF keep(VF u, VF value) const { return vf_select(dropped(u), vf_zero(), value * vf_set1(scale)); }
};

XB_INLINE float kept_scale(const Dropout& a) { return 1.0f / (1.0f - a.p); }
XB_INLINE DropoutBits dropout_bits(const Dropout& a, const StepContext& step) {
    return {a.p, kept_scale(a), random_stream(a.stream, step.step), &step};
}

// Counters are 32 bits wide here: an image of fewer than 2^32 elements.
XB_INLINE bool has_narrow_counters(int64_t channels, int64_t pixels) {
    return (channels + chunk_size) * pixels < int64_t{1} << 32;
}

// The numbers of one pixel for the channels first_channel .. first_channel + vf_width - 1 of an image of `pixels`, whose
// elements are (channel * pixels + pixel): each lane takes the word of its counter that its element asks for.
XB_INLINE VF pixel_numbers(uint64_t key, uint64_t stream, int64_t first_channel, int64_t pixels, int64_t pixel) {
    uint32_t counter[vf_width];
    float word[vf_width];
    for (int lane = 0; lane < vf_width; ++lane) {
        const auto element = static_cast<uint32_t>((first_channel + lane) * pixels + pixel);
        counter[lane] = element / 4;
        word[lane] = static_cast<float>(element % 4);
    }
    const PhiloxLanes words = philox_lanes(key, vu_load(counter), stream);
    VF u = uniform_lanes(words.w[0]);
    for (int j = 1; j < 4; ++j)
        u = vf_select(vm_greater(vf_load(word), vf_set1(static_cast<float>(j) - 0.5f)), uniform_lanes(words.w[j]), u);
    return u;
}

// Calls emit(pixel, such numbers) for the pixels first .. last-1. Where an image has a multiple of 4, one counter of each
// lane serves 4 pixels.
template <class Emit>
XB_INLINE void for_channel_pixels(uint64_t key, uint64_t stream, int64_t first_channel, int64_t pixels, int64_t first,
                                  int64_t last, Emit&& emit) {
    if (pixels % 4 != 0) {
        for (int64_t pixel = first; pixel < last; ++pixel)
            emit(pixel, pixel_numbers(key, stream, first_channel, pixels, pixel));
        return;
    }
    uint32_t counter[vf_width];
    for (int lane = 0; lane < vf_width; ++lane) counter[lane] = static_cast<uint32_t>((first_channel + lane) * (pixels / 4));
    const VU start = vu_load(counter);
    for (int64_t pixel = first / 4 * 4; pixel < last; pixel += 4) {
        const PhiloxLanes words = philox_lanes(key, vu_add(start, vu_set1(static_cast<uint32_t>(pixel / 4))), stream);
        const bool whole = pixel >= first && pixel + 4 <= last;
        for (int j = 0; j < 4; ++j)
            if (whole || (pixel + j >= first && pixel + j < last)) emit(pixel + j, uniform_lanes(words.w[j]));
    }
}

// A dropout of images {c,h,w} whose rows are made one after the other.
struct RowMask {
    DropoutBits bits;
    bool present, per_channel, blocked;
    int64_t h, w;
    float* numbers;                  // of this thread
    int64_t image = -1, group = -1;  // whose row the numbers are when it serves all rows of a channel
};

// Floats that a thread's row takes: nothing without a dropout; plain rows begin and end at whole counters.
XB_INLINE int64_t row_mask_floats(const Dropout& a, bool blocked, int64_t width) {
    if (a.p == 0) return 0;
    return blocked ? width * chunk_size : div_up(width + 2 * 4 * vf_width, chunk_size) * chunk_size;
}

XB_INLINE RowMask row_mask(const Dropout& a, const StepContext& step, bool blocked, int64_t h, int64_t w, float* numbers) {
    return {dropout_bits(a, step), a.p > 0, a.per_channel != 0, blocked, h, w, numbers};
}

// The numbers of the channels first .. first+15, in order.
XB_INLINE void channel_numbers(const RowMask& mask, int64_t n, int64_t first, float* u) {
    for (int64_t c = 0; c < chunk_size; c += 4) {
        const auto counter = static_cast<uint64_t>((first + c) / 4);
        const Philox4 words = philox4x32(mask.bits.key(n), counter, mask.bits.stream);
        for (int64_t j = 0; j < 4; ++j) u[c + j] = uniform01(words.v[j]);
    }
}

// Row `row` of image n: of channel `group`, one number a pixel; or of 16 channels, 16 numbers a pixel. Null without dropout.
XB_INLINE const float* row_numbers(RowMask& mask, int64_t n, int64_t group, int64_t row) {
    if (!mask.present) return nullptr;
    const int64_t pixels = mask.h * mask.w, first = row * mask.w;
    if (mask.per_channel) {
        if (mask.image == n && mask.group == group) return mask.numbers;
        mask.image = n, mask.group = group;
        float u[chunk_size];
        channel_numbers(mask, n, mask.blocked ? group * chunk_size : group / chunk_size * chunk_size, u);
        const Chunk number = mask.blocked ? chunk_load(u) : chunk_set1(u[group % chunk_size]);
        const int64_t floats = mask.blocked ? mask.w * chunk_size : div_up(mask.w, chunk_size) * chunk_size;
        for (int64_t i = 0; i < floats; i += chunk_size) chunk_store(mask.numbers + i, number);
        return mask.numbers;
    }
    if (mask.blocked) {
        for (int lane = 0; lane < chunk_size; lane += vf_width)
            for_channel_pixels(
                mask.bits.key(n), mask.bits.stream, group * chunk_size + lane, pixels, first, first + mask.w,
                [&](int64_t pixel, VF u) { vf_store(mask.numbers + (pixel - first) * chunk_size + lane, u); });
        return mask.numbers;
    }
    const int64_t element = group * pixels + first, start = element / 4 * 4;
    for (int64_t e = start; e < element + mask.w; e += 4 * vf_width) {
        VF u[4];
        uniforms_in_order(mask.bits.key(n), static_cast<uint32_t>(e / 4), mask.bits.stream, u);
        for (int j = 0; j < 4; ++j) vf_store(mask.numbers + (e - start) + j * vf_width, u[j]);
    }
    return mask.numbers + (element - start);
}

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
