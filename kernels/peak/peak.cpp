// Sends to the loops of the instruction set.
#include "kernels/peak/peak.h"

#include "kernels/by_isa.h"

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

double run_fma_rounds(Isa isa, int64_t rounds, float* sink) { XB_RETURN_BY_ISA(isa, fma_peak(rounds, sink)); }

void run_copy(Isa isa, const float* from, float* to, int64_t count) { XB_RETURN_BY_ISA(isa, copy_peak(from, to, count)); }

}  // namespace xbench
