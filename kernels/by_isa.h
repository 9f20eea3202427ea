// For functions outside of the registry that exist once for each instruction set, in the namespaces of their *.isa.cpp.
#pragma once

#include "core/isa.h"

#if XB_HAVE_ISA_AVX512
#define XB_WITH_AVX512(...) __VA_ARGS__
#else
#define XB_WITH_AVX512(...)
#endif
#if XB_HAVE_ISA_AVX2
#define XB_WITH_AVX2(...) __VA_ARGS__
#else
#define XB_WITH_AVX2(...)
#endif

// Returns what `call`, a function with its arguments, gives in the best of them that `isa` allows and the build has.
#define XB_RETURN_BY_ISA(isa, call)                                    \
    XB_WITH_AVX512(if ((isa) >= Isa::avx512) return isa_avx512::call;) \
    XB_WITH_AVX2(if ((isa) >= Isa::avx2) return isa_avx2::call;)       \
    return isa_portable::call
