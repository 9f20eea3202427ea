// Sends to the loops of the instruction set.
#include "kernels/rank_sum/rank_sum.h"

#include "kernels/by_isa.h"

namespace xbench {

#define XB_DECLARE_SUMS                                                                                           \
    void sum_floats(const float* const* from, int count, const uint8_t* merges, float* const* to, int targets,    \
                    size_t begin, size_t end);                                                                    \
    void sum_doubles(const double* const* from, int count, const uint8_t* merges, double* const* to, int targets, \
                     size_t begin, size_t end);
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
    XB_RETURN_BY_ISA(isa, sum_floats(a.from, a.count, a.merges, to, targets, begin, end));
}

void sum_over_ranks(Isa isa, const Addends<double>& a, double* const* to, int targets, size_t begin, size_t end) {
    XB_RETURN_BY_ISA(isa, sum_doubles(a.from, a.count, a.merges, to, targets, begin, end));
}

}  // namespace xbench
