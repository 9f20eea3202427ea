// What the host sides of the f32 convolutions on a GPU share.
#pragma once

#include <algorithm>

#include "kernels/conv2d/conv_shape.h"
#include "kernels/cuda/row.h"

namespace xbench {

inline ConvShape conv_shape(const Conv2d& a, const KernelTensor& x, const KernelTensor& y) {
    const auto size = [](int64_t value) { return static_cast<int32_t>(value); };
    return {size(x.dim[1]), size(x.dim[2]), size(x.dim[3]), size(y.dim[1]), size(y.dim[2]), size(y.dim[3]), a.r,     a.s,
            a.stride_h,     a.stride_w,     a.pad_h,        a.pad_w,        a.dilation_h,   a.dilation_w,   a.groups};
}

// Positions inside an image are 32 bits wide, images a dimension of the grid.
inline Support takes_convolution(const Problem& problem) {
    const KernelTensor& other = problem.op == OpKind::conv2d_wgrad ? problem.in[1] : problem.out[0];
    const int64_t most = std::max(elements_of_image(problem.in[0]), elements_of_image(other));
    return both(plain_f32_input(problem),
                most < int64_t{1} << 30 && problem.in[0].dim[0] < 65536 ? supported : refused("size"));
}

}  // namespace xbench
