// What the references of the convolution and of its fused forms share: which input an output reads, and one output, as plain
// loops over any stride, padding, dilation and number of groups.
#pragma once

#include "kernels/reference.h"

namespace xbench {

// Input row (or column) that output position `out` reads through filter position `tap`; may lie outside of the image.
inline int64_t input_row(const Conv2d& conv, int64_t out, int64_t tap) {
    return out * conv.stride_h - conv.pad_h + tap * conv.dilation_h;
}
inline int64_t input_column(const Conv2d& conv, int64_t out, int64_t tap) {
    return out * conv.stride_w - conv.pad_w + tap * conv.dilation_w;
}

// Output (n, k, p, q) without bias; the filters of its group read channels c_first on.
template <class T>
double forward_at(const Conv2d& conv, const Factor& factor, const RefTensor<T>& x, const RefTensor<T>& w, int64_t n,
                  int64_t k, int64_t c_first, int64_t p, int64_t q) {
    double sum = 0;
    for (int64_t c = 0; c < w.c(); ++c)
        for (int64_t r = 0; r < conv.r; ++r)
            for (int64_t s = 0; s < conv.s; ++s) {
                const int64_t i = input_row(conv, p, r), j = input_column(conv, q, s);
                if (i < 0 || i >= x.h() || j < 0 || j >= x.w()) continue;
                sum += factor(x.at(n, c_first + c, i, j)) * factor(w.at(k, c, r, s));
            }
    return sum;
}

}  // namespace xbench
