// Sends to the loops of the instruction set.
#include "kernels/rank_sum/rank_sum.h"

namespace xbench {

#define XB_DECLARE_SUMS                                                                                           \
    void sum_floats(const float* const* from, int count, const uint8_t* merges, float* const* to, int targets,    \
                    size_t begin, size_t end);                                                                    \
    void sum_doubles(const double* const* from, int count, const uint8_t* merges, double* const* to, int targets, \
                     size_t begin, size_t end);                                                                   \
    void stream_floats(float* to, const float* from, size_t count);
namespace isa_portable {
XB_DECLARE_SUMS
}
namespace isa_avx2 {
XB_DECLARE_SUMS
}
namespace isa_avx512 {
XB_DECLARE_SUMS
}
#undef XB_DECLARE_SUMS

void sum_over_ranks(Isa isa, const Addends<float>& a, float* const* to, int targets, size_t begin, size_t end) {
#if XB_HAVE_ISA_AVX512
    if (isa >= Isa::avx512) return isa_avx512::sum_floats(a.from, a.count, a.merges, to, targets, begin, end);
#endif
#if XB_HAVE_ISA_AVX2
    if (isa >= Isa::avx2) return isa_avx2::sum_floats(a.from, a.count, a.merges, to, targets, begin, end);
#endif
    return isa_portable::sum_floats(a.from, a.count, a.merges, to, targets, begin, end);
}

void sum_over_ranks(Isa isa, const Addends<double>& a, double* const* to, int targets, size_t begin, size_t end) {
#if XB_HAVE_ISA_AVX512
    if (isa >= Isa::avx512) return isa_avx512::sum_doubles(a.from, a.count, a.merges, to, targets, begin, end);
#endif
#if XB_HAVE_ISA_AVX2
    if (isa >= Isa::avx2) return isa_avx2::sum_doubles(a.from, a.count, a.merges, to, targets, begin, end);
#endif
    return isa_portable::sum_doubles(a.from, a.count, a.merges, to, targets, begin, end);
}

void copy_past_caches(Isa isa, float* to, const float* from, size_t count) {
#if XB_HAVE_ISA_AVX512
    if (isa >= Isa::avx512) return isa_avx512::stream_floats(to, from, count);
#endif
#if XB_HAVE_ISA_AVX2
    if (isa >= Isa::avx2) return isa_avx2::stream_floats(to, from, count);
#endif
    return isa_portable::stream_floats(to, from, count);
}

}  // namespace xbench
