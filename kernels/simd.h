// The only header besides kernel.h, leaf_tree.h and core/philox.h that a *.isa.cpp may include. It names the namespace that
// the file's code lives in and declares the vector type of the instruction set it is compiled for.
// XB_ISA_NAMESPACE (isa_portable, isa_avx2, isa_avx512) comes from cmake/xb_isa_kernels.cmake.
// Everything here has internal linkage.
#pragma once

#include <stddef.h>
#include <stdint.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace xbench {
namespace XB_ISA_NAMESPACE {

#if defined(__AVX512F__)
constexpr Isa this_isa = Isa::avx512;
#elif defined(__AVX2__)
constexpr Isa this_isa = Isa::avx2;
#else
constexpr Isa this_isa = Isa::portable;
#endif

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
