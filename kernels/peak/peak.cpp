// Sends to the loop of the instruction set.
#include "kernels/peak/peak.h"

namespace xbench {

namespace isa_portable {
double fma_peak(int64_t rounds, float* sink);
}
#if XB_HAVE_ISA_AVX2
namespace isa_avx2 {
double fma_peak(int64_t rounds, float* sink);
}
#endif
#if XB_HAVE_ISA_AVX512
namespace isa_avx512 {
double fma_peak(int64_t rounds, float* sink);
}
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

}  // namespace xbench
