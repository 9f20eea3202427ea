// The rows of a plain image that one output row of a first layer reads, copied side by side with their padding: {c,
// r}{width}. After this every position of the filter is inside, and one loop goes over all c*r*s of them.
#pragma once

#include "kernels/conv2d/blocked_tile.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

// The columns that an output row reads, padding included.
XB_INLINE int64_t stem_row_width(const Axis& columns) {
    return int64_t{columns.outputs - 1} * columns.step + columns.tap[columns.taps - 1].shift - columns.tap[0].shift + 1;
}

XB_INLINE bool is_stem(const Problem& p) { return is_dense_f32(p.in[0], Layout::plain); }

// Floats of a thread's copy of all rows {c, r} of x.
XB_INLINE int64_t stem_copy_floats(const KernelTensor& x, const Conv2d& conv) {
    return div_up(x.dim[1] * conv.r * (x.dim[3] + 2 * conv.pad_w) + vf_width, 16) * 16;
}

// Rows first .. first+count-1 of {c, r} for output row p; writes up to a vector beyond the last.
static void copy_stem_rows(const Blocks& x, const Axis& rows, const Axis& columns, const float* image, int64_t first,
                           int64_t count, int32_t p, float* to) {
    const int64_t width = stem_row_width(columns), pad = -columns.tap[0].shift;
    for (int64_t i = first; i < first + count; ++i, to += width) {
        const int64_t c = i / rows.taps, y = int64_t{p} * rows.step + rows.tap[i % rows.taps].shift;
        const int64_t end = y >= 0 && y < x.h ? pad + x.w : 0;
        const float* row = image + c * x.plane + y * x.row - pad;
        for (int64_t j = 0; j < width; j += vf_width) {
            if (j >= pad && j + vf_width <= end) {
                vf_store(to + j, vf_load(row + j));
                continue;
            }
            const int64_t lo = pad > j ? pad - j : 0, hi = end > j ? end - j : 0;
            const VM inside =
                vm_range(lo < vf_width ? static_cast<int>(lo) : vf_width, hi < vf_width ? static_cast<int>(hi) : vf_width);
            vf_store(to + j, vf_load(row + j, inside));
        }
    }
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
