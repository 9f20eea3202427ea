// Sends to the loops of the instruction set.
#include "kernels/peak/peak.h"

namespace xbench {

namespace isa_portable {
double fma_peak(int64_t rounds, float* sink);
void copy_peak(const float* from, float* to, int64_t count);
}  // namespace isa_portable
#if XB_HAVE_ISA_AVX2
namespace isa_avx2 {
double fma_peak(int64_t rounds, float* sink);
void copy_peak(const float* from, float* to, int64_t count);
}  // namespace isa_avx2
#endif
#if XB_HAVE_ISA_AVX512
namespace isa_avx512 {
double fma_peak(int64_t rounds, float* sink);
void copy_peak(const float* from, float* to, int64_t count);
}  // namespace isa_avx512
#endif

double run_fma_rounds(Isa isa, int64_t rounds, float* sink) {
#if XB_HAVE_ISA_AVX512
    if (isa >= Isa::avx512) return isa_avx512::fma_peak(rounds, sink);
#endif
#if XB_HAVE_ISA_AVX2
    if (isa >= Isa::avx2) return isa_avx2::fma_peak(rounds, sink);
#endif
    return isa_portable::fma_peak(rounds, sink);
}

void run_copy(Isa isa, const float* from, float* to, int64_t count) {
#if XB_HAVE_ISA_AVX512
    if (isa >= Isa::avx512) return isa_avx512::copy_peak(from, to, count);
#endif
#if XB_HAVE_ISA_AVX2
    if (isa >= Isa::avx2) return isa_avx2::copy_peak(from, to, count);
#endif
    isa_portable::copy_peak(from, to, count);
}

}  // namespace xbench
