// Which inputs an output of a convolution reads, one axis at a time, so that one loop serves the forward pass and the
// gradient of the input at any stride, padding and dilation:
//   forward   output p reads x at p*stride + (r*dilation - pad) through filter row r
//   dgrad     dx row h = i*stride + a gathers dy at i + (a + pad - r*dilation) / stride through each r that divides evenly:
//             for each remainder a ("phase") a convolution of stride 1 with some of the taps, written to every stride-th row
#pragma once

#include "kernels/simd/simd.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

constexpr int max_taps = 16;

// The outputs lo .. hi-1.
struct OutputRange {
    int32_t lo, hi;
};

struct Tap {
    int32_t filter;      // r or s
    int32_t shift;       // input = output * step + shift
    OutputRange inside;  // the outputs whose input is inside of the image
};

struct Axis {
    int32_t taps, step;
    int32_t inputs, outputs;      // sizes of the two sides
    int32_t out_first, out_step;  // output i of this axis is row out_first + i*out_step of the tensor
    bool contiguous;              // each tap reads the input next to that of the tap before
    Tap tap[max_taps];
};

XB_INLINE Tap tap_of(const Axis& axis, int32_t filter, int32_t shift) {
    const int32_t lo = shift >= 0 ? 0 : (-shift + axis.step - 1) / axis.step, last = axis.inputs - 1 - shift;
    int32_t hi = last < 0 ? 0 : last / axis.step + 1;
    if (hi > axis.outputs) hi = axis.outputs;
    return Tap{filter, shift, {lo, hi < lo ? lo : hi}};
}

XB_INLINE Axis forward_axis(int32_t filter, int32_t stride, int32_t pad, int32_t dilation, int64_t inputs, int64_t outputs) {
    Axis axis = {};
    axis.taps = filter;
    axis.step = stride;
    axis.inputs = static_cast<int32_t>(inputs);
    axis.outputs = static_cast<int32_t>(outputs);
    axis.out_step = 1;
    axis.contiguous = dilation == 1;
    for (int32_t r = 0; r < filter; ++r) axis.tap[r] = tap_of(axis, r, r * dilation - pad);
    return axis;
}

// inputs: rows of dy; outputs: rows of dx; phase: 0 .. stride-1.
XB_INLINE Axis dgrad_axis(int32_t filter, int32_t stride, int32_t pad, int32_t dilation, int64_t inputs, int64_t outputs,
                          int32_t phase) {
    const int32_t rows = static_cast<int32_t>(outputs);
    Axis axis = {};
    axis.step = 1;
    axis.inputs = static_cast<int32_t>(inputs);
    axis.outputs = phase < rows ? (rows - phase + stride - 1) / stride : 0;
    axis.out_first = phase;
    axis.out_step = stride;
    for (int32_t r = filter - 1; r >= 0; --r) {  // backwards: dy is then read in ascending order
        const int32_t scaled = phase + pad - r * dilation;
        if (scaled % stride == 0) axis.tap[axis.taps++] = tap_of(axis, r, scaled / stride);
    }
    axis.contiguous = axis.taps < 2 || axis.tap[1].shift == axis.tap[0].shift + 1;
    return axis;
}

// One output channel's filters in the canonical {k, c, r, s}: forward goes over k, dgrad over c.
struct FilterView {
    const float* data;
    int64_t out_step, in_step;  // between output channels, between input channels
    int64_t outs, ins;
    int32_t s, area;  // width of a filter, taps of a filter
};

XB_INLINE FilterView forward_filters(const KernelTensor& w) {
    const int64_t area = w.dim[2] * w.dim[3];
    return FilterView{static_cast<const float*>(w.data), w.dim[1] * area,           area, w.dim[0], w.dim[1],
                      static_cast<int32_t>(w.dim[3]),    static_cast<int32_t>(area)};
}
XB_INLINE FilterView dgrad_filters(const KernelTensor& w) {
    const int64_t area = w.dim[2] * w.dim[3];
    return FilterView{
        static_cast<const float*>(w.data), area, w.dim[1] * area, w.dim[1], w.dim[0], static_cast<int32_t>(w.dim[3]),
        static_cast<int32_t>(area)};
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
