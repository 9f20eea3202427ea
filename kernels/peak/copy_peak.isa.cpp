// A plain copy in whole vectors, four at a time: what memory and caches deliver to a kernel that only reads and writes.
#include "kernels/kernel.h"
#include "kernels/simd/simd.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {

void copy_peak(const float* from, float* to, int64_t count) {
    constexpr int64_t block = 4 * vf_width;
    const int64_t whole = count / block * block;
    for (int64_t i = 0; i < whole; i += block) {
        const VF a = vf_load(from + i), b = vf_load(from + i + vf_width);
        const VF c = vf_load(from + i + 2 * vf_width), d = vf_load(from + i + 3 * vf_width);
        vf_store(to + i, a), vf_store(to + i + vf_width, b);
        vf_store(to + i + 2 * vf_width, c), vf_store(to + i + 3 * vf_width, d);
    }
    for (int64_t i = whole; i < count; ++i) to[i] = from[i];
}

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
