// The gradient of a convolution's bias over nchw16c: the sum of dy over pixels and images, image by image inside a leaf, the
// leaves in the fixed tree. Bound by reading dy.
#pragma once

#include "kernels/conv2d/blocked_tile.h"
#include "kernels/simd/leaf_sum.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

// db of vf_width output channels from k on.
XB_INLINE void bias_tile(const Blocks& all, const StepContext& step, float* db, int64_t k) {
    const float* first = all.data + k / block * all.plane + k % block;
    const VF total = leaf_tree_sum<VF>(step, [&](int32_t v) {
        VF even = vf_zero(), odd = vf_zero();  // two chains hide the latency of the addition
        for (int64_t n = step.leaf_begin[v]; n < step.leaf_begin[v + 1]; ++n) {
            const float* dy = first + n * all.image;
            const float* end = dy + all.plane;
            for (; dy + block < end; dy += 2 * block) {
                even += vf_load(dy);
                odd += vf_load(dy + block);
            }
            if (dy < end) even += vf_load(dy);
        }
        return even + odd;
    });
    const int64_t left = all.c - k;
    if (left > 0) vf_store(db + k, total, vm_first(left < vf_width ? static_cast<int>(left) : vf_width));
}

// Threads share the vectors of output channels. db may be null.
XB_INLINE void bias_wgrad(const Blocks& dy, const StepContext& step, float* db, const Team& team) {
    if (!db) return;
    const Share mine = share_of(div_up(dy.c, block) * block / vf_width, team);
    for (int64_t t = mine.begin; t < mine.end; ++t) bias_tile(dy, step, db, t * vf_width);
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
