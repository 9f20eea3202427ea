// What the passes of a pooled batch normalisation share: which layouts their tensors have, and bands of pooled rows as one
// row for each channel where the pooled tensors are nchw16c and the images plain (a layer of few channels in front of one
// with many). A band is turned in the thread's workspace, small enough to stay in the first-level cache.
#pragma once

#include "kernels/simd/plain_blocked.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {

constexpr int64_t band_pixels = 256;

// Plain image, blocked pooled tensors.
XB_INLINE bool mixed_layouts(const KernelTensor& image, const KernelTensor& pooled) {
    return !is_blocked(image) && is_blocked(pooled);
}

// Pooled rows of a band; a row wider than a band is cut nowhere, its scratch is as wide.
XB_INLINE int64_t band_rows(int64_t width) { return width >= band_pixels ? 1 : band_pixels / width; }
XB_INLINE int64_t band_scratch_floats(int64_t width) {
    return width >= band_pixels ? chunk_size * (div_up(width, chunk_size) * chunk_size)
                                : chunk_size * (band_pixels + chunk_size);
}

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
