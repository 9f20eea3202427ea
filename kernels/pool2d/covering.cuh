// Windows of any stride and padding (core/ops.h, Pool2d), in whatever layout: what of the image is in a window, and which
// windows a pixel is in.
#pragma once

#include "kernels/cuda/philox.cuh"
#include "kernels/pool2d/window.cuh"

namespace xbench {

struct Window {
    int top, left;  // maybe in the padding
    int h_begin, h_end, w_begin, w_end;
    __device__ Window(const Pool2d& a, int p, int q, int height, int width)
        : top(p * a.stride_h - a.pad_h),
          left(q * a.stride_w - a.pad_w),
          h_begin(max(top, 0)),
          h_end(min(top + a.r, height)),
          w_begin(max(left, 0)),
          w_end(min(left + a.s, width)) {}
    __device__ int divisor(const Pool2d& a) const {
        return a.count_include_pad ? a.r * a.s : (h_end - h_begin) * (w_end - w_begin);
    }
};

// The windows along one axis that cover position `at`: first .. last - 1.
struct Covering {
    int first, last;
    __device__ Covering(int at, int pad, int size, int stride, int outputs)
        : first(max(0, (at + pad - size + stride) / stride)), last(min(outputs, (at + pad) / stride + 1)) {}
};

// What a dropout behind the pooling leaves of the largest value, written with its place.
__device__ __forceinline__ void store_largest(const Largest& best, const KeepMask& keep, int64_t image, int c, int pixel,
                                              float* y, uint8_t* index) {
    const bool kept = keep(image, c, pixel);
    *y = kept ? best.value * keep.scale() : 0.0f;
    if (index) *index = static_cast<uint8_t>(kept ? best.place : closed_window);
}

}  // namespace xbench
