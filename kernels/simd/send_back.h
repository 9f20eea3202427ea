// The way back through 2x2 windows at stride 2 over 16 channels, whole lines at a time: with half lines a plane larger than
// the second-level cache came twice, and halves that are written past the caches apart go to memory apart.
#pragma once

#include "kernels/simd/chunk.h"
#include "kernels/simd/simd_pool.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {

// For the p x q windows of a plane, index {p, q, 16}: put(h, w, k, d) for each pixel of a window and each vector k of its 16
// channels; d is gradient(at, k), of the window's vector that lies at `at`, where the index names the pixel, else 0.
template <class Gradient, class Put>
XB_INLINE void send_back_2x2(int64_t p_end, int64_t q_end, const uint8_t* index, const Gradient& gradient, const Put& put) {
    for (int64_t p = 0; p < p_end; ++p)
        for (int64_t q = 0; q < q_end; ++q) {
            VF d[chunk_parts];
            Places places[chunk_parts];
            for (int k = 0; k < chunk_parts; ++k) {
                const int64_t at = (p * q_end + q) * chunk_size + k * vf_width;
                d[k] = gradient(at, k);
                places[k] = load_places(index + at, vf_width);
            }
            for (int corner = 0; corner < 4; ++corner)
                for (int k = 0; k < chunk_parts; ++k)
                    put(2 * p + corner / 2, 2 * q + corner % 2, k, only_at(places[k], corner, d[k]));
        }
}

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
